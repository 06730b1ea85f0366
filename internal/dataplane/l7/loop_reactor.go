package l7

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/openslb/openslb/internal/dataplane/l7/h1"
	"github.com/openslb/openslb/internal/dataplane/l7/policy"
	"github.com/openslb/openslb/internal/dataplane/loop"
)

// Driver is what moves the bytes of an HTTP frontend.
type Driver uint8

// The drivers. They do the same in every respect a client or a server can see.
const (
	// Goroutines serves each client by a goroutine that waits.
	Goroutines Driver = iota
	// Loops serves all clients by a few event loops. Requests that the loops have
	// no means for go to goroutines with their connection, and HTTPS always does.
	Loops
)

var errClosed = errors.New("layer 7 engine is closed")

// reactors are the loops of an engine. They start with the first frontend that
// wants them.
type reactors struct {
	mu     sync.Mutex
	all    []*reactor // guarded by mu; never changes once made
	closed bool       // guarded by mu
}

// start returns the loops, making them if there are none.
func (rs *reactors) start(e *Engine) ([]*reactor, error) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.closed {
		return nil, errClosed
	}
	if rs.all != nil {
		return rs.all, nil
	}
	budget := e.options.Budget
	if budget == nil {
		var err error
		if budget, err = loop.NewBudget(); err != nil {
			return nil, fmt.Errorf("layer 7 engine: %w", err)
		}
	}
	n := e.options.Loops
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	var all []*reactor
	for range n {
		r, err := newReactor(e, budget)
		if err != nil {
			for _, r := range all {
				r.close()
			}
			return nil, fmt.Errorf("layer 7 engine: %w", err)
		}
		all = append(all, r)
	}
	rs.all = all
	return all, nil
}

func (rs *reactors) close() {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.closed = true
	for _, r := range rs.all {
		r.close()
	}
}

// reactor is a loop with what its connections share. Only the loop uses it.
type reactor struct {
	e       *Engine
	loop    *loop.Loop
	clients loop.Slab[loopClient]
	servers loop.Slab[loopServer]
	idle    []*loopExchange
	kept    loopKept

	// block takes what is read, and goes along with a connection whose other side
	// does not take it at once.
	block *block
	req   h1.Request
	resp  h1.Response
	edits h1.RequestEdits
	// outgoing is of the request that is being handled.
	outgoing outgoing
	head     []byte // scratch for heads towards clients
	text     []byte // scratch for a client's address
	peek     [1]byte
	// current is the client that a server's event is handled for, in case of a
	// panic.
	current *loopClient

	mark       []byte // scratch for a session's cookie
	stampLines []byte
	stampUntil int64
}

// maxIdleExchanges bounds what is kept after a time of many requests at once.
const maxIdleExchanges = 256

func newReactor(e *Engine, budget *loop.Budget) (*reactor, error) {
	l, err := loop.New(loop.Options{Logger: e.log, Budget: budget})
	if err != nil {
		return nil, err
	}
	r := &reactor{e: e, loop: l, block: getBlock(), head: make([]byte, 0, 2048), text: make([]byte, 0, 64)}
	r.kept.init(r)
	return r, nil
}

// close ends the loop. The frontends must have been closed.
func (r *reactor) close() {
	r.loop.Do(func() { r.kept.closeAll() })
	r.loop.Close()
}

// restart gives a function that arms t.
func (r *reactor) restart(t *loop.Timer) func(time.Duration) {
	return func(d time.Duration) { r.loop.Arm(t, d) }
}

// stamp is the header lines of our own that go into every answer. They are
// rendered anew when the second changes.
func (r *reactor) stamp() []byte {
	if now := r.loop.Now(); now >= r.stampUntil {
		t := time.Now()
		r.stampLines = appendStamp(r.stampLines[:0], t)
		r.stampUntil = now + int64(time.Second) - int64(t.Nanosecond())
	}
	return r.stampLines
}

// newExchange gives an exchange for a request of c.
func (r *reactor) newExchange(c *loopClient) *loopExchange {
	var x *loopExchange
	if n := len(r.idle); n > 0 {
		x, r.idle = r.idle[n-1], r.idle[:n-1]
	} else {
		x = new(loopExchange)
	}
	x.c, x.r = c, r
	return x
}

// freeExchange takes an exchange back that has no server any more.
func (r *reactor) freeExchange(x *loopExchange) {
	if x.b != nil {
		putBlock(x.b)
	}
	x.freePipe()
	out := x.out[:0]
	if cap(out) > 4*workSize {
		out = nil
	}
	x.rec.shrink()
	clear(x.tried[:x.nTried])
	x.underWay, x.plan = underWay{out: out}, policy.Plan{}
	x.rec.log, x.rec.span = nil, nil
	if len(r.idle) < maxIdleExchanges {
		r.idle = append(r.idle, x)
	}
}

// yieldBlock gives the block with what was read to its new owner.
func (r *reactor) yieldBlock() *block {
	b := r.block
	r.block = getBlock()
	return b
}
