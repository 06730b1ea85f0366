package l4

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// engines are the ways bulk data can go: through pipes or the buffer.
var engines = map[string]Options{
	"splicing": {Loops: 1},
	"copying":  {Loops: 1, pipes: -1},
}

// pseudo writes size bytes that depend on seed to w, in pieces of uneven size,
// and returns their sum.
func pseudo(w io.Writer, seed uint64, size int) (sum [32]byte, err error) {
	r := rand.New(rand.NewPCG(seed, 0))
	src := rand.NewChaCha8([32]byte{byte(seed)})
	h := sha256.New()
	buf := make([]byte, 256<<10)
	for size > 0 {
		p := buf[:min(1+r.IntN(len(buf)), size)]
		src.Read(p)
		h.Write(p)
		if _, err := w.Write(p); err != nil {
			return sum, err
		}
		size -= len(p)
	}
	return [32]byte(h.Sum(nil)), nil
}

func sumOf(r io.Reader) ([32]byte, int64, error) {
	var h hash.Hash = sha256.New()
	n, err := io.Copy(h, onlyReader{r})
	return [32]byte(h.Sum(nil)), n, err
}

func TestLargeTransfersBothWays(t *testing.T) {
	const (
		size  = 16 << 20
		conns = 4
	)
	for name, o := range engines {
		t.Run(name, func(t *testing.T) {
			type result struct {
				sent, got [32]byte
				err       error
			}
			results := make(chan result, conns)
			addr := server(t, func(c *net.TCPConn) {
				var (
					r  result
					wg sync.WaitGroup
				)
				wg.Go(func() {
					r.sent, r.err = pseudo(c, 1, size)
					c.CloseWrite()
				})
				got, _, err := sumOf(c)
				wg.Wait()
				r.got = got
				if err != nil {
					r.err = err
				}
				results <- r
			})
			e := newEngine(t, o)
			f := listen(t, e, spec.TCPOptions{}, pool.NewStatic(target("a", addr)))
			var wg sync.WaitGroup
			wants := sync.Map{}
			for i := range conns {
				wg.Go(func() {
					c := dial(t, f)
					wg.Go(func() {
						sum, err := pseudo(c, uint64(2+i), size)
						if err != nil {
							t.Error(err)
						}
						wants.Store(sum, true)
						c.CloseWrite()
					})
					got, n, err := sumOf(c)
					if err != nil || n != size {
						t.Errorf("%d bytes, %v", n, err)
					}
					want, _ := pseudo(io.Discard, 1, size)
					if got != want {
						t.Error("the client got other bytes than were sent")
					}
				})
			}
			wg.Wait()
			for range conns {
				r := <-results
				if r.err != nil {
					t.Error(r.err)
				}
				if _, ok := wants.LoadAndDelete(r.got); !ok {
					t.Error("a server got other bytes than were sent")
				}
			}
			eventually(t, "the end", func() bool { return f.Facts().ActiveConnections == 0 })
			facts := f.Facts()
			if facts.BytesIn != conns*size || facts.BytesOut != conns*size {
				t.Errorf("facts = %+v", facts)
			}
			for _, w := range e.workers {
				w.loop.Do(func() {
					if (w.loop.IdlePipes() > 0) != (o.pipes >= 0) {
						t.Errorf("%d pipes were used", w.loop.IdlePipes())
					}
					if w.stash.lent != 0 {
						t.Errorf("%d bytes are still lent", w.stash.lent)
					}
				})
			}
		})
	}
}

// A receiver that does not read must stop its sender, whatever the direction,
// and hold no more than one buffer; all must arrive when it reads at last.
func TestSlowReaderStopsTheSender(t *testing.T) {
	const size = 64 << 20
	for name, o := range engines {
		for _, download := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/download=%v", name, download), func(t *testing.T) {
				var sent atomic.Int64
				read := make(chan struct{})
				sums := make(chan [32]byte, 2)
				send := func(c *net.TCPConn) {
					sum, _ := pseudo(io.MultiWriter(c, counter{&sent}), 7, size)
					c.CloseWrite()
					sums <- sum
				}
				receive := func(c *net.TCPConn) {
					<-read
					sum, n, err := sumOf(c)
					if n != size || err != nil {
						t.Errorf("got %d bytes, %v", n, err)
					}
					sums <- sum
				}
				onServer, onClient := receive, send
				if download {
					onServer, onClient = send, receive
				}
				addr := server(t, onServer)
				e := newEngine(t, o)
				f := listen(t, e, spec.TCPOptions{}, pool.NewStatic(target("a", addr)))
				c := dial(t, f)
				c.SetDeadline(time.Time{})
				var wg sync.WaitGroup
				wg.Go(func() { onClient(c) })
				// It is stopped when the count has stood still for a while.
				last, since := int64(-1), time.Now()
				eventually(t, "the sender to stop", func() bool {
					if n := sent.Load(); n != last {
						last, since = n, time.Now()
					}
					return last > 0 && time.Since(since) > 300*time.Millisecond
				})
				if last >= size {
					t.Error("everything was taken from the sender though nobody read")
				}
				e.workers[0].loop.Do(func() {
					if lent := e.workers[0].stash.lent; lent > 64<<10 {
						t.Errorf("%d bytes are held for one connection", lent)
					}
				})
				close(read)
				if a, b := <-sums, <-sums; a != b {
					t.Error("other bytes arrived than were sent")
				}
				wg.Wait()
			})
		}
	}
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// Many slow readers at once must not hold a buffer each.
func TestManySlowReadersStayBounded(t *testing.T) {
	addr := server(t, func(c *net.TCPConn) {
		c.SetWriteBuffer(64 << 10)
		pseudo(c, 1, 1<<30)
	})
	e := newEngine(t, Options{Loops: 1, pipes: -1})
	f := listen(t, e, spec.TCPOptions{}, pool.NewStatic(target("a", addr)))
	const conns = 150
	for range conns {
		c := dial(t, f)
		c.SetReadBuffer(4 << 10)
	}
	stalled := func() (lent int, quiet bool) {
		before := f.Facts().BytesOut
		time.Sleep(300 * time.Millisecond)
		e.workers[0].loop.Do(func() { lent = e.workers[0].stash.lent })
		return lent, f.Facts().BytesOut == before && f.Facts().ActiveConnections == conns
	}
	var lent int
	eventually(t, "all to be full", func() bool {
		n, quiet := stalled()
		lent = n
		return quiet
	})
	t.Logf("%d kB are held for %d connections", lent>>10, conns)
	if most := stashSome + 64<<10 + conns*(16<<10); lent > most {
		t.Errorf("%d bytes are held, want %d at most", lent, most)
	}
	for _, w := range e.workers {
		w.loop.Do(func() {
			for class, idle := range w.stash.idle {
				if len(idle) > classes[class].idle {
					t.Errorf("%d idle parcels of class %d", len(idle), class)
				}
			}
		})
	}
	if err := f.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.workers[0].loop.Do(func() {
		if n := e.workers[0].stash.lent; n != 0 {
			t.Errorf("%d bytes are still lent after the close", n)
		}
	})
}

func TestResetWhileBlockedGivesEverythingBack(t *testing.T) {
	for name, o := range engines {
		t.Run(name, func(t *testing.T) {
			addr := server(t, func(c *net.TCPConn) { pseudo(c, 1, 1<<30) })
			e := newEngine(t, o)
			f := listen(t, e, spec.TCPOptions{}, pool.NewStatic(target("a", addr)))
			for range 5 {
				before := f.Facts().BytesOut
				c := dial(t, f)
				eventually(t, "data", func() bool { return f.Facts().BytesOut > before+1<<20 })
				c.SetLinger(0)
				c.Close()
				eventually(t, "the end", func() bool { return f.Facts().ActiveConnections == 0 })
			}
			e.workers[0].loop.Do(func() {
				w := e.workers[0]
				if w.stash.lent != 0 || e.budget.Used() != 1+2*w.loop.IdlePipes() { // 1: the listener
					t.Errorf("lent %d bytes, %d descriptors taken, %d idle pipes", w.stash.lent, e.budget.Used(), w.loop.IdlePipes())
				}
			})
		})
	}
}
