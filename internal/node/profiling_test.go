package node

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
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
	mux := http.NewServeMux()
	serveProfiles(mux)
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
