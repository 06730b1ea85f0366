package l7

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// TestHTTP2Limits: requests a second, bandwidth and connections hold for HTTP/2,
// where many requests share a connection.
func TestHTTP2Limits(t *testing.T) {
	if !overTLS {
		return
	}
	var w within
	w.set(spec.Limits{}, 0, 0)
	body := pattern(100_000)
	p := newProxyWithin(t, w.Frontend(w.first()), spec.HTTPOptions{}, target(answering(t, func(*message) string { return ok(string(body)) })))
	p.enableHTTP2()
	c := p.http2Client()
	fetch(t, c, p.request("GET", "/", nil))

	w.Update(spec.Limits{RequestRate: 5})
	answers := map[int]int{}
	for range 20 {
		resp, _ := fetch(t, c, p.request("GET", "/", nil))
		answers[resp.StatusCode]++
	}
	if answers[200] == 0 || answers[503] == 0 || p.Facts().NewConnections != 1 {
		t.Errorf("answers %v on %d connections", answers, p.Facts().NewConnections)
	}

	w.Update(spec.Limits{Bandwidth: 8 * 400_000}) // 400 kB a second
	began := time.Now()
	for range 6 {
		if resp, got := fetch(t, c, p.request("GET", "/", nil)); resp.StatusCode != 200 || !bytes.Equal(got, body) {
			t.Fatalf("%d, %d bytes", resp.StatusCode, len(got))
		}
	}
	if took := time.Since(began); took < 500*time.Millisecond {
		t.Errorf("600 kB in %v", took)
	}
	w.set(spec.Limits{}, 1, 0)
	p.refused()
}

// TestHTTP2HandedOver: a process that leaves tells the client, and answers what is
// under way.
func TestHTTP2HandedOver(t *testing.T) {
	if !overTLS {
		return
	}
	p := newHTTP2Proxy(t, spec.HTTPOptions{}, hello(t))
	r := p.dialHTTP2()
	r.head(1, true)
	r.untilEnd(1)
	p.Leave()
	r.until("GOAWAY", func(f http2.Frame) bool { _, ok := f.(*http2.GoAwayFrame); return ok })
	r.head(3, true)
	r.untilEnd(3)
}
