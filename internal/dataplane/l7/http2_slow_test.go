package l7

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/openslb/openslb/internal/dataplane/l7/h2"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// TestHTTP2SlowHead: what begins must come whole in time, and ends the connection
// otherwise, whatever else is said on it meanwhile.
func TestHTTP2SlowHead(t *testing.T) {
	if !overTLS {
		return
	}
	p := hasty(func(w *waits) { w.handshake = time.Second }, func() *proxy {
		return newHTTP2Proxy(t, spec.HTTPOptions{RequestTimeout: 400 * time.Millisecond}, hello(t))
	})
	counted := func(n uint64) {
		t.Helper()
		eventually(t, "connections forgotten", func() bool { return p.Facts().ActiveConnections == 0 })
		if got := p.Facts().SlowHeads; got != n {
			t.Errorf("%d counted, not %d", got, n)
		}
	}
	var beginnings sync.WaitGroup
	for _, said := range []string{"", http2.ClientPreface[:10], http2.ClientPreface, http2.ClientPreface + "\x00\x00\x06\x04\x00"} {
		conn := tls.Client(p.dialPlain(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		if _, err := io.WriteString(conn, said); err != nil {
			t.Fatal(err)
		}
		beginnings.Go(func() {
			defer conn.Close()
			fr := http2.NewFramer(nil, conn)
			for {
				f, err := fr.ReadFrame()
				if err != nil {
					if err != io.EOF {
						t.Errorf("%q: %v", said, err)
					}
					return
				}
				if g, is := f.(*http2.GoAwayFrame); is && g.ErrCode != http2.ErrCodeEnhanceYourCalm {
					t.Errorf("%q: told %v", said, g.ErrCode)
				}
			}
		})
	}
	beginnings.Wait()
	counted(4)
	t.Run("heads", func(t *testing.T) { http2SlowHeads(t, p) })
	counted(7)
	// In pieces, but in time; and then nothing for longer than a head may take.
	r := p.dialHTTP2()
	for id := uint32(1); id < 5; id += 2 {
		r.code.Reset()
		r.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndStream: true, BlockFragment: []byte{0x82, 0x87}})
		time.Sleep(50 * time.Millisecond)
		r.fr.WriteContinuation(id, false, []byte{0x84})
		time.Sleep(50 * time.Millisecond)
		r.fr.WriteContinuation(id, true, []byte{0x41, 0x01, 'a'})
		r.watchEnds(id)
		time.Sleep(500 * time.Millisecond)
	}
	r.conn.Close()
	counted(7)
}

// http2SlowHeads says something by the byte on connections of p.
func http2SlowHeads(t *testing.T, p *proxy) {
	for _, row := range []struct {
		name string
		drip func(r *http2Raw, n int)
	}{
		{"continued", func(r *http2Raw, n int) {
			p := []byte{0x40} // a field that never ends
			if n == 1 {
				p = append(p, 0x7f, 0xff, 0x7f)
			}
			if n == 0 {
				r.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: []byte{0x82}})
			} else {
				r.fr.WriteContinuation(3, false, p)
			}
		}},
		{"by the byte", func(r *http2Raw, n int) {
			if n == 0 {
				r.conn.Write([]byte("\x00\x20\x00\x01\x04\x00\x00\x00\x03")) // 8 KB of HEADERS
			} else {
				r.conn.Write([]byte{0x82})
			}
		}},
		{"a ping by the byte", func(r *http2Raw, n int) {
			if n < 16 {
				r.conn.Write([]byte("\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678")[n : n+1])
			}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			r := p.dialHTTP2()
			r.t = t
			r.head(1, true)
			r.watchEnds(1)
			began := time.Now()
			n, last := 0, time.Time{}
			r.watch("word that this is too slow", func(w *watched) bool {
				if time.Since(last) > 30*time.Millisecond {
					last = time.Now()
					row.drip(r, n)
					n++
				}
				return w.goAway != nil
			})
			if took := time.Since(began); *r.seen.goAway != http2.ErrCodeEnhanceYourCalm || took < 300*time.Millisecond {
				t.Errorf("%v after %v", *r.seen.goAway, took)
			}
			r.conn.Close()
		})
	}
}

// TestHTTP2SlowBody: a body by the byte is refused, one that keeps coming is not,
// nor one whose answer has begun, and neither bothers the other. So it is whatever
// the server is asked by.
func TestHTTP2SlowBody(t *testing.T) {
	if !overTLS {
		return
	}
	server := newHearer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/talk" {
			c := http.NewResponseController(w)
			c.EnableFullDuplex() // an error means that it is HTTP/2
			c.Flush()
		}
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	})
	for name, o := range map[string]spec.HTTPOptions{"HTTP/1.1": {}, "HTTP/2": {ServersHTTP2: true}} {
		t.Run(name, func(t *testing.T) {
			o.RequestTimeout = patience
			p := hasty(func(w *waits) { w.slow = 300 * time.Millisecond }, func() *proxy { return newHTTP2Proxy(t, o, server.target) })
			http2SlowBodies(t, p)
		})
	}
}

// http2SlowBodies sends bodies to p at different speeds.
func http2SlowBodies(t *testing.T, p *proxy) {
	r := p.dialHTTP2()
	r.ask(1, false, "POST", "a", "/")
	r.ask(3, false, "POST", "a", "/")
	r.ask(5, false, "POST", "a", "/talk")
	r.watch("the head of an answer", func(w *watched) bool { return len(w.heads[5]) > 0 })
	last, sent, said := time.Time{}, 0, 0
	r.watch("the slow one's answer", func(w *watched) bool {
		if time.Since(last) > 15*time.Millisecond && !w.ended[1] {
			last = time.Now()
			r.fr.WriteData(1, false, []byte{'x'})
			r.fr.WriteData(3, false, make([]byte, 2<<10))
			r.fr.WriteData(5, false, []byte{'x'})
			sent += 2 << 10
			said++
		}
		return w.ended[1]
	})
	for range 20 {
		time.Sleep(15 * time.Millisecond)
		r.fr.WriteData(3, false, make([]byte, 2<<10))
		sent += 2 << 10
	}
	r.fr.WriteData(3, true, nil)
	r.fr.WriteData(5, true, nil)
	r.watchEnds(3, 5)
	w := &r.seen
	if w.value(1, ":status") != "408" || w.reset[1] != http2.ErrCodeNo || w.value(3, ":status") != "200" || w.text[3] != fmt.Sprint(sent) || w.text[5] != fmt.Sprint(said) {
		t.Errorf("heads %v, reset %v, bodies %v", w.heads, w.reset, w.text)
	}
	if f := p.Facts(); f.SlowBodies != 1 || f.SlowHeads+f.SlowReads != 0 {
		t.Errorf("counted %+v", f)
	}
}

// TestHTTP2SlowCall: in a gRPC call messages come when there is something to say,
// and its server may say nothing before the last.
func TestHTTP2SlowCall(t *testing.T) {
	if !overTLS {
		return
	}
	server := newHearer(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	})
	p := hasty(func(w *waits) { w.slow = 300 * time.Millisecond }, func() *proxy {
		return newHTTP2Proxy(t, spec.HTTPOptions{RequestTimeout: patience, ServersHTTP2: true}, server.target)
	})
	r := p.dialHTTP2()
	r.ask(1, false, "POST", "a", "/")
	r.ask(3, false, "POST", "a", "/", "content-type", "application/grpc+proto")
	last, said := time.Time{}, 0
	r.watch("the answer to what is no call", func(w *watched) bool {
		if time.Since(last) > 15*time.Millisecond && !w.ended[1] {
			last = time.Now()
			r.fr.WriteData(1, false, []byte{'x'})
			r.fr.WriteData(3, false, []byte{'x'})
			said++
		}
		return w.ended[1]
	})
	r.fr.WriteData(3, true, nil)
	r.watchEnds(3)
	if w := &r.seen; w.value(1, ":status") != "408" || w.value(3, ":status") != "200" || w.text[3] != fmt.Sprint(said) {
		t.Errorf("heads %v, reset %v, bodies %v", w.heads, w.reset, w.text)
	}
}

// TestHTTP2SlowRead: a client that opens its windows by the byte loses the
// request, by a reset and never by a clean end.
func TestHTTP2SlowRead(t *testing.T) {
	if !overTLS {
		return
	}
	const size = 256 << 10
	body := string(make([]byte, size))
	p := hasty(func(w *waits) { w.slow = 400 * time.Millisecond }, func() *proxy {
		return newHTTP2Proxy(t, spec.HTTPOptions{}, target(answering(t, func(m *message) string { return ok(body) })))
	})
	t.Run("answers", func(t *testing.T) { http2SlowReads(t, p, size) })
	if n := p.Facts().SlowReads; n != 5 {
		t.Errorf("%d counted", n)
	}
}

// http2SlowReads has answers of p read at different speeds.
func http2SlowReads(t *testing.T, p *proxy, size int) {
	const wide = 1<<31 - 1
	for _, row := range []struct {
		name   string
		window uint32              // of streams
		open   func(r *http2Raw)   // called every 20 ms
		slow   map[uint32]struct{} // of the streams 1 and 3
	}{
		{"a stream", 0, func(r *http2Raw) {
			r.fr.WriteWindowUpdate(1, 1)
			r.fr.WriteWindowUpdate(3, 4<<10)
			r.fr.WriteWindowUpdate(0, 4<<10)
		}, map[uint32]struct{}{1: {}}},
		{"the connection", wide, func(r *http2Raw) { r.fr.WriteWindowUpdate(0, 1) }, map[uint32]struct{}{1: {}, 3: {}}},
		{"nothing", wide, func(r *http2Raw) {}, map[uint32]struct{}{1: {}, 3: {}}},
		{"steadily", 0, func(r *http2Raw) {
			r.fr.WriteWindowUpdate(1, 4<<10)
			r.fr.WriteWindowUpdate(3, 4<<10)
			r.fr.WriteWindowUpdate(0, 8<<10)
		}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			r := p.dialHTTP2(http2.Setting{ID: http2.SettingInitialWindowSize, Val: row.window})
			r.t = t
			r.head(1, true)
			r.head(3, true)
			last := time.Time{}
			r.watch("both ends", func(w *watched) bool {
				if time.Since(last) > 20*time.Millisecond {
					last = time.Now()
					row.open(r)
				}
				over := 0
				for _, id := range []uint32{1, 3} {
					if _, reset := w.reset[id]; reset || w.ended[id] {
						over++
					}
				}
				return over == 2
			})
			for _, id := range []uint32{1, 3} {
				code, reset := r.seen.reset[id]
				if _, slow := row.slow[id]; slow != reset || slow == r.seen.ended[id] || reset && code != http2.ErrCodeEnhanceYourCalm || !slow && r.seen.body[id] != size {
					t.Errorf("%d: ended %v, reset %v, bodies %v", id, r.seen.ended, r.seen.reset, r.seen.body)
				}
			}
		})
	}
}

// TestHTTP2Turns: where many answers share a slow connection each has to wait
// for its turn, and none is to blame for that.
func TestHTTP2Turns(t *testing.T) {
	if !overTLS {
		return
	}
	const size, n = 192 << 10, 12
	body := string(make([]byte, size))
	p := hasty(func(w *waits) { w.slow = 200 * time.Millisecond }, func() *proxy {
		return newHTTP2Proxy(t, spec.HTTPOptions{}, target(answering(t, func(m *message) string { return ok(body) })))
	})
	r := p.dialHTTP2(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1})
	for i := range uint32(n) {
		r.head(2*i+1, true)
	}
	last := time.Time{}
	r.watch("all ends", func(w *watched) bool {
		if time.Since(last) > 25*time.Millisecond {
			last = time.Now()
			r.fr.WriteWindowUpdate(0, 48<<10)
		}
		return len(w.ended)+len(w.reset) == n
	})
	if len(r.seen.reset) > 0 || p.Facts().SlowReads != 0 {
		t.Errorf("reset: %v", r.seen.reset)
	}
}

// TestHTTP2StalledReader: a client with windows wide open that reads nothing is cut
// off as one client, and its servers are let go.
func TestHTTP2StalledReader(t *testing.T) {
	if !overTLS {
		return
	}
	body := string(make([]byte, 8<<20))
	p := hasty(func(w *waits) { w.slow = 600 * time.Millisecond }, func() *proxy {
		return newHTTP2Proxy(t, spec.HTTPOptions{}, target(answering(t, func(m *message) string { return ok(body) })))
	})
	r := p.dialHTTP2(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1})
	r.fr.WriteWindowUpdate(0, 1<<30)
	for i := range uint32(4) {
		r.head(2*i+1, true)
	}
	eventually(t, "answers on their way", func() bool { return p.Facts().Status[2] == 4 })
	eventually(t, "the client is forgotten", func() bool { return p.Facts().ActiveConnections == 0 })
	if f := p.Facts(); f.SlowReads != 1 {
		t.Errorf("%d counted", f.SlowReads)
	}
}

// TestHTTP2SlowCrowd: clients that ask for as much as they may and take nothing cost
// a bounded amount of memory for a bounded time, and others do not notice.
func TestHTTP2SlowCrowd(t *testing.T) {
	if !overTLS {
		return
	}
	const connections, each = 3, h2.MaxStreams
	body := string(make([]byte, 1<<20))
	b := answering(t, func(m *message) string {
		if strings.Contains(m.line, "/small") {
			return ok("small")
		}
		return ok(body)
	})
	p := hasty(func(w *waits) { w.slow = time.Second }, func() *proxy { return newHTTP2Proxy(t, spec.HTTPOptions{}, target(b)) })
	c := p.http2Client()
	small := func() {
		t.Helper()
		if _, got := fetch(t, c, p.request("GET", "/small", nil)); string(got) != "small" {
			t.Errorf("others get %q", got)
		}
	}
	small()
	before := used()
	all := make([]*http2Raw, connections)
	for i := range all {
		all[i] = p.dialHTTP2(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		for n := range uint32(each) {
			all[i].head(2*n+1, true)
		}
	}
	eventually(t, "all answers have begun", func() bool { return p.Facts().Status[2] >= connections*each })
	small()
	one := (used() - before) / (connections * each)
	t.Logf("%d bytes for each answer, with the server's side of it", one)
	if !raceEnabled && one > 160<<10 {
		t.Errorf("%d bytes for each answer", one)
	}
	for _, r := range all {
		r.watch("the end of all", func(w *watched) bool { small(); return len(w.reset) == each })
		if len(r.seen.ended) > 0 {
			t.Errorf("%d ends look clean", len(r.seen.ended))
		}
	}
	if n := p.Facts().SlowReads; n != connections*each {
		t.Errorf("%d counted", n)
	}
	eventually(t, "the servers are let go", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.open) <= 2
	})
}

// TestHTTP2PausedReader is TestPausedReader for a client that keeps its windows
// closed meanwhile.
func TestHTTP2PausedReader(t *testing.T) {
	if !overTLS {
		return
	}
	const size, step = 32 << 10, 16 << 10
	body := string(make([]byte, size))
	p := newHTTP2Proxy(t, spec.HTTPOptions{RequestTimeout: 500 * time.Millisecond}, target(answering(t, func(*message) string { return ok(body) })))
	r := p.dialHTTP2(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	r.head(1, true)
	for n := step; n <= size; n += step {
		time.Sleep(1200 * time.Millisecond)
		r.fr.WriteWindowUpdate(1, step)
		r.watch("another part", func(w *watched) bool { return w.body[1] == n })
	}
	r.watchEnds(1)
}
