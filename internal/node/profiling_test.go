package node

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestProfiling has profiles on request only, and for this host only.
func TestProfiling(t *testing.T) {
	const page = "/debug/pprof/goroutine?debug=1"
	on := start(t, Config{Data: t.TempDir(), Profiling: true})
	if text := get(t, http.DefaultClient, on.Endpoint()+page); !strings.Contains(text, "goroutine profile: total ") {
		t.Errorf("the profile of goroutines says %.80q", text)
	}

	off := start(t, Config{Data: t.TempDir()})
	resp, err := http.Get(off.Endpoint() + page)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		t.Error("profiles are served unasked")
	}
}

func TestProfilesAreForThisHost(t *testing.T) {
	mux := withProfiles(http.NotFoundHandler())
	for from, want := range map[string]int{
		"127.0.0.1:1": 200, "[::1]:1": 200, "[::ffff:127.1.2.3]:1": 200,
		"192.0.2.1:1": 403, "[2001:db8::1]:1": 403, "@": 403, "": 403,
	} {
		for _, page := range []string{"", "goroutine", "heap"} {
			r := httptest.NewRequest(http.MethodGet, "/debug/pprof/"+page, nil)
			r.RemoteAddr = from
			w := httptest.NewRecorder()
			if mux.ServeHTTP(w, r); w.Code != want {
				t.Errorf("%q from %q: %d, want %d", page, from, w.Code, want)
			}
		}
	}
	for _, page := range []string{"profile", "trace"} {
		r := httptest.NewRequest(http.MethodGet, "/debug/pprof/"+page, nil)
		r.RemoteAddr = "192.0.2.1:1"
		w := httptest.NewRecorder()
		if mux.ServeHTTP(w, r); w.Code != 403 {
			t.Errorf("%q from elsewhere: %d", page, w.Code)
		}
	}
}

// TestProfileHoldsUpNoHandover closes the gate of the API while a profile is taken.
func TestProfileHoldsUpNoHandover(t *testing.T) {
	gate := newAPIGate()
	gate.open(http.NotFoundHandler())
	s := httptest.NewServer(withProfiles(gate))
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/debug/pprof/trace?seconds=30", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r) // a trace begins at once
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", resp, err)
	}
	defer resp.Body.Close()
	soon, stop := context.WithTimeout(t.Context(), 5*time.Second)
	defer stop()
	if err := gate.close(soon); err != nil {
		t.Error(err)
	}
}
