package l7

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/openslb/openslb/internal/dataplane/l7/h2"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// heldBytes is what the process uses, on the heap and for stacks, once that no
// longer changes much.
func heldBytes() (now int64) {
	for range 20 {
		before := now
		now = used()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		now += int64(m.StackInuse)
		if d := now - before; -64<<10 < d && d < 64<<10 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return now
}

// hostile is what a client does on a connection to keep as much as it can.
type hostile struct {
	name     string
	most     int64  // KB that may be held for the connection, with the server's side of it
	requests uint64 // that are served at least
	window   uint32 // of the streams
	mute     bool   // the servers do not answer connects
	do       func(r *http2Raw)
}

const wideWindow = 1<<31 - 1

// hostileAnswers asks on all streams for what it does not take.
func hostileAnswers(path string) func(r *http2Raw) {
	return func(r *http2Raw) {
		for n := range uint32(h2.MaxStreams) {
			r.ask(2*n+1, true, "GET", "a", path)
		}
	}
}

// hostileBodies sends n bytes in frames on all streams, some at a time, and then
// gives these up if it is to.
func hostileBodies(n, frame, some int, giveUp bool) func(r *http2Raw) {
	return func(r *http2Raw) {
		for from := uint32(1); from < 2*h2.MaxStreams; from += 2 * uint32(some) {
			to := from + 2*uint32(some)
			for id := from; id < to; id += 2 {
				r.ask(id, false, "POST", "a", "/silent")
			}
			for left := n; left > 0; left -= frame {
				for id := from; id < to; id += 2 {
					r.fr.WriteData(id, false, bulkyBody[:min(left, frame)])
				}
			}
			for id := from; giveUp && id < to; id += 2 {
				r.fr.WriteRSTStream(id, http2.ErrCodeCancel)
			}
		}
	}
}

var hostiles = []hostile{
	{"bodies by the byte", 7 << 10, h2.MaxStreams, wideWindow, true, hostileBodies(40, 1, h2.MaxStreams, false)},
	{"bodies", 8 << 10, h2.MaxStreams, wideWindow, true, hostileBodies(7<<10, 1<<10, h2.MaxStreams, false)},
	{"bodies given up", 8 << 10, h2.MaxStreams, wideWindow, true, hostileBodies(80<<10, 16<<10, 8, true)},
	{"long heads", 5 << 10, 20, wideWindow, false, func(r *http2Raw) {
		fields := []string{":method", "GET", ":scheme", "https", ":authority", "a", ":path", "/silent"}
		for range 8 {
			fields = append(fields, "x-long", strings.Repeat("a", 3800)) // a byte each, but for the first
		}
		for n := range uint32(h2.MaxStreams) {
			r.fields(2*n+1, true, fields...)
		}
	}},
	{"heads without end", 1 << 10, 0, wideWindow, false, func(r *http2Raw) {
		r.code.Reset()
		r.enc.WriteField(hpack.HeaderField{Name: "x-long", Value: strings.Repeat("?", 70<<10)}) // not worth Huffman's code
		p := r.code.Bytes()
		r.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p[:h2.FrameSize]})
		for n := h2.FrameSize; n < len(p); n += h2.FrameSize {
			r.fr.WriteContinuation(1, false, p[n:min(len(p), n+h2.FrameSize)])
		}
	}},
	{"silent servers", 6 << 10, h2.MaxStreams, wideWindow, false, hostileAnswers("/silent")},
	{"no windows", 8 << 10, h2.MaxStreams, 0, false, hostileAnswers("/big")},
	{"no windows, chunks", 8 << 10, h2.MaxStreams, 0, false, hostileAnswers("/chunks")},
	{"one window", 8 << 10, h2.MaxStreams, wideWindow, false, hostileAnswers("/big")},
	{"nothing read", 8 << 10, h2.MaxStreams, wideWindow, false, func(r *http2Raw) {
		r.tcp.SetReadBuffer(4096)
		r.fr.WriteWindowUpdate(0, 1<<30)
		hostileAnswers("/big")(r)
	}},
}

// TestHTTP2Memory: what one client can make us hold is bounded, whatever it does
// with its streams, and others are served meanwhile.
func TestHTTP2Memory(t *testing.T) {
	if !overTLS {
		return
	}
	for _, row := range hostiles {
		t.Run(row.name, func(t *testing.T) { http2Memory(t, &row) })
	}
}

func http2Memory(t *testing.T, row *hostile) {
	const connections = 2
	release := make(chan struct{})
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) { unmoved(c, br, release) })
	defer close(release)
	p := newHTTP2Proxy(t, spec.HTTPOptions{}, target(b))
	c := p.http2Client()
	small := func() {
		t.Helper()
		if _, got := fetch(t, c, p.request("GET", "/small", nil)); string(got) != "small" {
			t.Errorf("others get %q", got)
		}
	}
	small()
	if row.mute {
		hole := spec.Target{ID: "hole", Addr: blackHole(t), Weight: 100}
		p.pool.Update(spec.Pool{ID: "p", Scheduler: spec.WRR, Targets: []spec.Target{hole}})
	}
	before, begun := heldBytes(), p.Facts().Requests
	for range connections {
		row.do(p.dialHTTP2(http2.Setting{ID: http2.SettingInitialWindowSize, Val: row.window}))
	}
	eventually(t, "the requests have come", func() bool { return p.Facts().Requests-begun >= connections*row.requests })
	if !row.mute {
		small()
	}
	one := (heldBytes() - before) / connections >> 10
	t.Logf("%d KB for each connection, with %d requests", one, (p.Facts().Requests-begun)/connections)
	most := row.most
	if raceEnabled {
		most += most / 2 // stacks are larger, and pools forget
	}
	if one > most {
		t.Errorf("%d KB are held for each connection", one)
	}
	p.pool.Update(spec.Pool{ID: "p", Scheduler: spec.WRR, Targets: []spec.Target{target(b)}})
	small()
}

var bulkyBody = make([]byte, 1<<20)

// unmoved answers a request, and then reads no more and keeps the connection. It
// needs little memory itself.
func unmoved(c net.Conn, br *bufio.Reader, release <-chan struct{}) {
	path := ""
	for {
		line, err := br.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return
		}
		if path == "" {
			path = strings.Fields(string(line))[1]
		}
		if string(line) == "\r\n" {
			break
		}
	}
	switch path {
	case "/small":
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nsmall")
		return
	case "/big":
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", len(bulkyBody))
		c.Write(bulkyBody)
	case "/chunks":
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n", len(bulkyBody))
		c.Write(bulkyBody)
	}
	<-release
}
