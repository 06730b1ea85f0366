package l7

import (
	"testing"

	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// TestRules: requests of one connection go where their host and path say, and a
// change of rules counts from the next request on.
func TestRules(t *testing.T) {
	named := func(name string) *pool.Pool {
		p := pool.NewStatic(target(answering(t, func(*message) string { return ok(name) })))
		t.Cleanup(p.Close)
		return p
	}
	p := newProxy(t, spec.HTTPOptions{}, target(answering(t, func(*message) string { return ok("own") })))
	one, two := named("one"), named("two")
	f := p.f
	f.HTTP = &spec.HTTPOptions{Rules: []spec.Rule{{ID: "1", Domain: "*.a.test"}, {ID: "2", Domain: "b.test", Path: "/x"}}}
	p.Update(f, p.pool, one, two)
	c := p.dial()
	for _, r := range []struct {
		request string
		status  int
		body    string
	}{
		{"GET / HTTP/1.1\r\nHost: www.a.test\r\n\r\n", 200, "one"},
		{"GET /x/y?z HTTP/1.1\r\nHost: B.test:80\r\n\r\n", 200, "two"},
		{"GET /y HTTP/1.1\r\nHost: b.test\r\n\r\n", 404, "*"},
		{"POST /y HTTP/1.1\r\nHost: b.test\r\nContent-Length: 4\r\n\r\nbody", 404, "*"},
		{"GET http://b.test/%78 HTTP/1.1\r\nHost: b.test\r\n\r\n", 200, "two"},
		{"OPTIONS * HTTP/1.1\r\nHost: x.a.test\r\n\r\n", 200, "one"},
		{"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", 200, "own"},
		{"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, "own"},
	} {
		c.send(r.request)
		c.want(r.status, r.body)
	}
	f.HTTP = &spec.HTTPOptions{Rules: []spec.Rule{{ID: "2", Domain: "b.test"}}}
	p.Update(f, p.pool, one)
	c.send("GET /y HTTP/1.1\r\nHost: b.test\r\n\r\n")
	c.want(200, "one")
	if f := p.Facts(); f.Status[4] != 2 || f.Upstream4 != 0 {
		t.Errorf("facts %+v", f)
	}
}
