package l7

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/limit"
	"github.com/openslb/openslb/internal/dataplane/loop"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// within is the limits of an instance with two frontends.
type within struct{ limit.Instance }

func (w *within) first() spec.FrontendID {
	return spec.FrontendID{Instance: "lb-1", Protocol: spec.HTTP, Port: 1}
}
func (w *within) second() spec.FrontendID {
	return spec.FrontendID{Instance: "lb-1", Protocol: spec.HTTP, Port: 2}
}

// set changes the limits of the instance and the first frontend.
func (w *within) set(l spec.Limits, maxConnections int, bandwidth int64) {
	w.Instance.Update(&spec.Instance{Limits: l, Frontends: []spec.Frontend{
		{ID: w.first(), MaxConnections: maxConnections, Bandwidth: bandwidth}, {ID: w.second()}}})
}

// two makes two proxies, of the first frontend and the second.
func (w *within) two(t *testing.T, targets ...spec.Target) (a, b *proxy) {
	w.set(spec.Limits{}, 0, 0)
	return newProxyWithin(t, w.Frontend(w.first()), spec.HTTPOptions{}, targets...),
		newProxyWithin(t, w.Frontend(w.second()), spec.HTTPOptions{}, targets...)
}

func (w *within) Update(l spec.Limits) { w.set(l, 0, 0) }

// refused checks that a connection is closed without an answer.
func (p *proxy) refused() {
	p.t.Helper()
	if p.tries() {
		p.t.Error("a connection is not refused")
	}
}

// tries tells whether a connection is not closed at once.
func (p *proxy) tries() bool {
	p.t.Helper()
	c, err := net.Dial("tcp", p.Addr().String())
	if err != nil {
		return false // reset before the dial had returned
	}
	defer c.Close()
	if overTLS {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	c.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	b, err := io.ReadAll(c)
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		p.t.Errorf("neither served nor refused: %q, %v", b, err)
	}
	return len(b) > 0
}

// opened makes a connection that has had an answer.
func (p *proxy) opened() *client {
	p.t.Helper()
	c := p.dial()
	c.send(simple)
	c.want(200, "hi")
	return c
}

func hello(t *testing.T) spec.Target {
	return target(answering(t, func(*message) string { return ok("hi") }))
}

func TestLimitOfConnections(t *testing.T) {
	var w within
	p, q := w.two(t, hello(t))
	w.set(spec.Limits{Connections: 3}, 2, 0)
	first, second := p.opened(), p.opened()
	p.refused() // its own
	q.opened()
	q.refused() // the instance's
	if a, b := p.Facts(), q.Facts(); a.DropConnections != 1 || a.ActiveConnections != 2 || b.DropConnections != 1 || b.NewConnections != 2 {
		t.Errorf("%+v, %+v", a, b)
	}
	first.Close()
	eventually(t, "the end of the first", func() bool { return p.Facts().ActiveConnections == 1 })
	p.opened()
	// Lowering harms nobody who is there; raising lets more in.
	w.set(spec.Limits{Connections: 1}, 1, 0)
	second.send(simple)
	second.want(200, "hi")
	p.refused()
	w.Update(spec.Limits{})
	for range 5 {
		p.opened()
		q.opened()
	}
}

// An upload moves a connection from a loop to a goroutine, and is no reason to
// count it twice or not at all.
func TestLimitOfConnectionsThatMove(t *testing.T) {
	var w within
	p, _ := w.two(t, hello(t))
	w.set(spec.Limits{}, 1, 0)
	for range 3 {
		c := p.opened()
		c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
		c.want(200, "hi")
		p.refused()
		c.Close()
		eventually(t, "the end", func() bool { return p.Facts().ActiveConnections == 0 })
	}
}

func TestLimitOfConnectionRate(t *testing.T) {
	var w within
	p, q := w.two(t, hello(t))
	const rate = 5
	w.Update(spec.Limits{ConnectionRate: rate})
	start, served := time.Now(), 0
	for range 2 * rate {
		for _, one := range []*proxy{p, q} {
			if one.tries() {
				served++
			}
		}
	}
	if most := rate + int(time.Since(start).Seconds()*rate) + 1; served < rate || served > most {
		t.Errorf("%d of %d connections served, want %d to %d", served, 4*rate, rate, most)
	}
	if dropped := p.Facts().DropConnections + q.Facts().DropConnections; int(dropped) != 4*rate-served {
		t.Errorf("%d dropped", dropped)
	}
	w.Update(spec.Limits{})
	p.opened()
}

// TestLimitOfRequests: what is beyond the rate gets a 503 on a connection that
// stays open, keep-alive or pipelined, and both frontends share the rate.
func TestLimitOfRequests(t *testing.T) {
	const rate = 10
	var w within
	p, q := w.two(t, hello(t))
	c, d := p.opened(), q.opened()
	w.Update(spec.Limits{RequestRate: rate})
	start := time.Now()
	served, refused := 0, 0
	count := func(m *message) {
		t.Helper()
		switch {
		case strings.Contains(m.line, " 200 ") && string(m.body) == "hi":
			served++
		case strings.Contains(m.line, " 503 ") && m.header("Connection") == nil:
			refused++
		default:
			t.Fatalf("answer %q", m.head)
		}
	}
	for range rate / 2 {
		c.send(simple)
		count(c.read())
	}
	d.send(strings.Repeat(simple, 2*rate))
	for range 2 * rate {
		count(d.read())
	}
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok" + simple)
	count(c.read())
	count(c.read())
	const sent = rate/2 + 2*rate + 2
	if most := rate + int(time.Since(start).Seconds()*rate) + 1; served < rate || served > most || served+refused != sent {
		t.Errorf("%d served and %d refused of %d, want %d to %d served", served, refused, sent, rate, most)
	}
	a, b := p.Facts(), q.Facts()
	if dropped := a.DropConnections + b.DropConnections; int(dropped) != refused || a.Requests+b.Requests != sent+2 || int(a.Status[5]+b.Status[5]) != refused {
		t.Errorf("%+v, %+v", a, b)
	}
	w.Update(spec.Limits{})
	c.send(strings.Repeat(simple, 20))
	for range 20 {
		c.want(200, "hi")
	}
}

const mbit = 1_000_000

// bulk serves bodies of the length that a request's path tells.
func bulk(t *testing.T) spec.Target {
	return target(answering(t, func(m *message) string {
		n, _ := strconv.Atoi(strings.Trim(strings.Fields(m.line)[1], "/"))
		return ok(string(letters(n)))
	}))
}

func letters(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + i%23)
	}
	return b
}

// fetch gets a body of n bytes and tells how long that took.
func (c *client) fetch(n int) time.Duration {
	c.t.Helper()
	start := time.Now()
	c.send(fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", n))
	if m := c.want(200, "*"); !bytes.Equal(m.body, letters(n)) {
		c.t.Fatalf("%d bytes came otherwise than sent", len(m.body))
	}
	return time.Since(start)
}

// TestBandwidth: an answer takes as long as the limit says and comes whole, as
// does a sum of small ones; meanwhile others of the same loops go on.
func TestBandwidth(t *testing.T) {
	var w within
	p, q := w.two(t, bulk(t))
	const rate = 8 * mbit / 8 // bytes a second, of which a tenth may come at once
	w.set(spec.Limits{}, 0, 8*mbit)
	var wg sync.WaitGroup
	wg.Go(func() {
		other := q.dial()
		for range 20 {
			other.fetch(100)
		}
	})
	if d := p.dial().fetch(rate / 2); d < 300*time.Millisecond {
		t.Errorf("half a second's bytes came in %v", d)
	}
	wg.Wait()
	start := time.Now()
	for range 8 {
		wg.Go(func() {
			c := p.dial()
			for range 10 {
				c.fetch(rate / 200)
			}
		})
	}
	wg.Wait()
	if d := time.Since(start); d < 200*time.Millisecond {
		t.Errorf("0.4 s of bytes came in %v", d)
	}
	// A change is felt by those who wait.
	done := make(chan time.Duration)
	go func() { done <- p.dial().fetch(25 * rate) }()
	eventually(t, "the begin", func() bool { return p.Facts().BytesOut > 2*rate/3 })
	w.Update(spec.Limits{})
	if d := <-done; d > patience {
		t.Errorf("without limit it took %v", d)
	}
}

// TestBandwidthOfOurAnswers: those that no server gives count too.
func TestBandwidthOfOurAnswers(t *testing.T) {
	var w within
	p, _ := w.two(t)
	w.set(spec.Limits{}, 0, mbit)
	start := time.Now()
	size := 0
	for range 2 {
		c := p.dial()
		c.send(strings.Repeat(simple, 100))
		for range 100 {
			m := c.want(503, "*")
			size += len(m.head) + len(m.body)
		}
	}
	// A tenth of a second's bytes may come at once.
	if least := time.Duration(size)*time.Second/(mbit/8) - 150*time.Millisecond; time.Since(start) < least {
		t.Errorf("%d bytes came in %v", size, time.Since(start))
	}
}

// TestBandwidthOfUploads: a frontend's bandwidth is about what goes to clients;
// an instance's is about both directions.
func TestBandwidthOfUploads(t *testing.T) {
	var w within
	p, _ := w.two(t, hello(t))
	upload := func(n int) time.Duration {
		c := p.dial()
		start := time.Now()
		c.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", n))
		if _, err := c.Write(letters(n)); err != nil {
			t.Fatal(err)
		}
		c.want(200, "hi")
		return time.Since(start)
	}
	w.set(spec.Limits{}, 0, 8*mbit)
	if d := upload(8 * mbit / 8 * 4); d > 3*time.Second {
		t.Errorf("a listener's limit held an upload up for %v", d)
	}
	// The frontends share the instance's evenly, and borrow what is left over.
	w.Update(spec.Limits{Bandwidth: 8 * mbit})
	if d := upload(8 * mbit / 8 / 2); d < 300*time.Millisecond {
		t.Errorf("half a second's bytes went in %v", d)
	}
	start := time.Now()
	c := p.dial()
	for range 50 { // bodies that come with their heads
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8000\r\n\r\n" + string(letters(8000)))
		c.want(200, "hi")
	}
	if d := time.Since(start); d < 200*time.Millisecond {
		t.Errorf("0.4 s of bytes went in %v", d)
	}
}

// TestCloseWhileHeldUp: closing does not wait for who waits for bandwidth longer
// than for others.
func TestCloseWhileHeldUp(t *testing.T) {
	var w within
	p, _ := w.two(t, bulk(t))
	w.set(spec.Limits{}, 0, mbit)
	for range 4 {
		p.dial().send("GET /10000000 HTTP/1.1\r\nHost: a\r\n\r\n")
	}
	eventually(t, "the begin", func() bool { return p.Facts().BytesOut > mbit/100 })
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Close(ctx); err == nil {
		t.Error("the answers cannot have ended")
	}
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("closing took %v", d)
	}
	if n := p.Facts().ActiveConnections; n != 0 {
		t.Errorf("%d connections left", n)
	}
}

func BenchmarkProxyWithinLimits(b *testing.B) {
	for name, l := range map[string]spec.Limits{"none": {}, "ample": {Connections: 1 << 30, RequestRate: 1 << 30, Bandwidth: 1 << 50}} {
		b.Run(name, func(b *testing.B) {
			var w within
			w.Update(l)
			p := newProxyWithin(b, w.Frontend(w.first()), spec.HTTPOptions{}, echoServer(b, ok("end")))
			buf := make([]byte, 64<<10)
			b.ReportAllocs()
			for left := b.N; left > 0; left -= maxRequests {
				c := p.dial()
				exchanges(b, c, []byte(simple), buf, min(left, maxRequests))
				c.Close()
			}
		})
	}
}

// TestNoRoom: clients and servers together have no more descriptors than the
// budget, whoever serves them.
func TestNoRoom(t *testing.T) {
	listeners := 1
	if driver == Loops && !overTLS {
		listeners = 2
	}
	within := func(n int) *proxy {
		b := answering(t, func(m *message) string { return ok("x") })
		return newProxyWith(t, func(o *Options, _ *spec.Frontend) { o.Budget = loop.NewBudgetOf(listeners + n) }, nil, spec.HTTPOptions{}, target(b))
	}
	t.Run("for a client", func(t *testing.T) {
		p := within(2)
		log := p.expectLog()
		c := p.dial()
		c.send(simple)
		c.want(200, "x")
		for range 2 {
			p.refused()
		}
		if f := p.Facts(); f.ShortConnections != 2 || f.DropConnections != 2 || f.ActiveConnections != 1 {
			t.Errorf("%+v", f)
		}
		c.send(simple) // the server's is kept
		c.want(200, "x")
		c.Close()
		eventually(t, "a descriptor given back", func() bool { return p.budget.Used() == listeners+1 })
		p.dial()
		eventually(t, "the connection taken", func() bool { return p.Facts().ActiveConnections == 1 })
		log.mu.Lock()
		defer log.mu.Unlock()
		if n := strings.Count(log.String(), "no room"); n != 1 {
			t.Errorf("logged %d times: %s", n, log.String())
		}
	})
	t.Run("for a crowd", func(t *testing.T) {
		p := within(40) // and the listeners, of which an eighth is for servers
		p.expectLog()
		first := p.dial()
		for range 50 {
			c, err := net.Dial("tcp", p.Addr().String())
			if err != nil {
				continue // refused before the dial had returned
			}
			defer c.Close()
		}
		eventually(t, "too many to be refused", func() bool { return p.Facts().ShortConnections >= 15 })
		first.send(simple)
		first.want(200, "x")
	})
	t.Run("for a server", func(t *testing.T) {
		c := within(1).dial()
		c.send(simple)
		if m := c.read(); !strings.Contains(m.line, " 502 ") {
			t.Errorf("%+v", m)
		}
	})
}
