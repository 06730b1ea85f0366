package testutil

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Load keeps client connections busy and remembers every fault they see. A
// fault is anything a user would notice: a failed connect, a reset, an end that
// was not announced, a wrong echo, an answer other than 200.
type Load struct {
	stop        chan struct{}
	workers     sync.WaitGroup
	connections atomic.Int64
	requests    atomic.Int64

	mu     sync.Mutex // guards all below
	faults []string
	total  int
	served map[string]int // by server ID
}

// What one exchange sends.
const (
	GetText  = "GET / HTTP/1.1\r\nHost: test\r\n\r\n"
	EchoText = "sixty-four bytes of text, that is what one small exchange takes."
)

// StartLoad returns a load without connections; it ends with the test.
func StartLoad(t testing.TB) *Load {
	l := &Load{stop: make(chan struct{}), served: map[string]int{}}
	t.Cleanup(l.Stop)
	return l
}

// Stop ends all connections. It may be called again.
func (l *Load) Stop() {
	l.mu.Lock()
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.mu.Unlock()
	l.workers.Wait()
}

// HTTP opens n keep-alive connections that send a request every pause. Each
// opens anew only after an answer announced the end of the connection. It
// returns when all are open.
func (l *Load) HTTP(addr netip.AddrPort, n int, pause time.Duration) {
	l.run(n, pause, func(name string) worker {
		return &httpWorker{load: l, name: name, addr: addr}
	})
}

// Echo opens n connections to echo servers that exchange a line every pause.
// None may ever end. It returns when all are open.
func (l *Load) Echo(addr netip.AddrPort, n int, pause time.Duration) {
	l.run(n, pause, func(name string) worker {
		return &echoWorker{load: l, name: name, addr: addr}
	})
}

// Connections counts those that were opened.
func (l *Load) Connections() int64 { return l.connections.Load() }

// Requests counts successful exchanges.
func (l *Load) Requests() int64 { return l.requests.Load() }

// Served tells how many exchanges each server answered.
func (l *Load) Served() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string]int{}
	for k, v := range l.served {
		out[k] = v
	}
	return out
}

// Faults returns the number of faults and the first few of them.
func (l *Load) Faults() (int, []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total, append([]string(nil), l.faults...)
}

func (l *Load) fault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total++; len(l.faults) < 20 {
		l.faults = append(l.faults, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
	}
}

func (l *Load) success(server string) {
	l.requests.Add(1)
	l.mu.Lock()
	l.served[server]++
	l.mu.Unlock()
}

// worker is one connection with its life.
type worker interface {
	turn() bool // one exchange; false ends the worker
	close()
}

func (l *Load) run(n int, pause time.Duration, build func(name string) worker) {
	var open sync.WaitGroup
	for i := range n {
		open.Add(1)
		l.workers.Go(func() {
			w := build(fmt.Sprintf("connection %d", i))
			defer w.close()
			ok := w.turn()
			open.Done()
			// Spread the rhythms, so that the connections do not march in step.
			timer := time.NewTimer(pause * time.Duration(i+1) / time.Duration(n))
			defer timer.Stop()
			for ok {
				select {
				case <-l.stop:
					return
				case <-timer.C:
				}
				ok = w.turn()
				timer.Reset(pause)
			}
		})
	}
	open.Wait()
}

type httpWorker struct {
	load *Load
	name string
	addr netip.AddrPort
	conn *HTTPConn
}

func (w *httpWorker) turn() bool {
	if w.conn == nil {
		conn, err := DialHTTP(w.addr)
		if err != nil {
			w.load.fault("http %s: connect: %v", w.name, err)
			return true
		}
		w.load.connections.Add(1)
		w.conn = conn
	}
	r, err := w.conn.Do(GetText)
	switch {
	case err != nil:
		w.load.fault("http %s: %v", w.name, err)
		w.close()
		return true
	case r.Status != 200:
		w.load.fault("http %s: status %d", w.name, r.Status)
	default:
		w.load.success(r.Body)
	}
	if w.conn.Closing {
		w.close()
	}
	return true
}

func (w *httpWorker) close() {
	if w.conn != nil {
		w.conn.Close()
		w.conn = nil
	}
}

type echoWorker struct {
	load *Load
	name string
	addr netip.AddrPort
	conn *EchoConn
}

func (w *echoWorker) turn() bool {
	if w.conn == nil {
		conn, err := DialEcho(w.addr)
		if err != nil {
			w.load.fault("tcp %s: connect: %v", w.name, err)
			return true
		}
		w.load.connections.Add(1)
		w.conn = conn
	}
	if err := w.conn.Echo(EchoText); err != nil {
		w.load.fault("tcp %s on %s: %v", w.name, w.conn.ServerID, err)
		w.close()
		return true
	}
	w.load.success(w.conn.ServerID)
	return true
}

func (w *echoWorker) close() {
	if w.conn != nil {
		w.conn.Close()
		w.conn = nil
	}
}
