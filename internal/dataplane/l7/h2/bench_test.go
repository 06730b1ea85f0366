package h2

import (
	"testing"
)

// serving is an owner that costs nothing.
type serving struct {
	c    *Conn
	spot [4]*Stream
	n    int
	head []byte
	body []byte
}

func (s *serving) New() *Stream {
	s.n++
	if s.spot[s.n%4] == nil {
		s.spot[s.n%4] = new(Stream)
	}
	return s.spot[s.n%4]
}

func (s *serving) Head(st *Stream, _ []byte) {
	s.c.SendHead(st, s.head, false)
	s.c.SendData(st, s.body, true)
	s.c.Release(st)
}

func (s *serving) Refused(Bound)        {}
func (s *serving) Data(*Stream, []byte) {}
func (s *serving) End(*Stream, []byte)  {}
func (s *serving) Reset(*Stream, Code)  {}
func (s *serving) Window(*Stream)       {}

// requests is n heads as a client sends them that has sent the same before.
func requests(t testing.TB, n int) (*Conn, [][]byte) {
	s := &serving{head: []byte("HTTP/1.1 200 OK\r\nServer: OpenSLB\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n"), body: make([]byte, 100)}
	s.c = new(Conn)
	s.c.Serve(s)
	w := newWorld(t)
	w.fr.WriteWindowUpdate(0, 1<<30)
	if err := s.c.Receive(0, w.in.Bytes()); err != nil {
		t.Fatal(err)
	}
	all := make([][]byte, n)
	for i := range all {
		w.in.Reset()
		w.request(uint32(2*i+1), true, "user-agent", "bench", "accept", "*/*")
		all[i] = append([]byte(nil), w.in.Bytes()...)
	}
	return s.c, all
}

// TestCoreAllocations: a request costs the one allocation of the framer's HEADERS
// frame.
func TestCoreAllocations(t *testing.T) {
	c, all := requests(t, 1200)
	out := make([]byte, 0, OutLimit)
	i := 0
	next := func() {
		if err := c.Receive(0, all[i]); err != nil {
			t.Fatal(err)
		}
		i++
		out = c.TakeOutput(out[:0])
	}
	for range 100 {
		next()
	}
	if n := testing.AllocsPerRun(1000, next); n > 1 {
		t.Errorf("%.2f allocations per request", n)
	}
}

func BenchmarkCore(b *testing.B) {
	c, all := requests(b, b.N)
	out := make([]byte, 0, OutLimit)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if err := c.Receive(0, all[i]); err != nil {
			b.Fatal(err)
		}
		if i%1000 == 0 {
			c.sendWindow = maxWindow
		}
		out = c.TakeOutput(out[:0])
	}
}
