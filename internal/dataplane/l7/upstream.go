package l7

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/sock"
)

// Of connections to servers.
const (
	connectTimeout  = 5 * time.Second // documented by the vendor
	keptIdle        = 30 * time.Second
	keptPerShard    = 128
	keptShards      = 4
	maxConnectTries = 5
)

// keptSure is how long a kept connection may have been idle for a request that
// must not be sent twice. Servers close connections that were idle for some
// seconds, and such a request would be lost if it met the end on its way.
const keptSure = time.Second

// upstream is a connection to a server.
type upstream struct {
	socket
	member *pool.Member
	http2  *http2Upstream // nil: HTTP/1
	since  int64          // when it was put aside, on the wheel's clock
	asked  int64          // when the last request for it had come, on loop.Clock

	askFn  func(uintptr) bool
	step   askStep
	noWait bool // request returns once all is sent
	sent   int
	ask    []byte
	peek   [1]byte
}

type askStep uint8

const (
	askCheck askStep = iota // is the connection still quiet?
	askSend
	askWait
	askStale // it was not
	askFailed
	askPartly // there was no room for all of the request
	askSent   // all is sent, and noWait was set
)

// request sends the request and waits for the first bytes of the answer, up to
// limit, in one visit to the poller. Reading comes first: the poller announces only what arrives
// after that, and a connection that has something to say before it was asked, its
// end included, is of no use. After askPartly the caller sends
// the rest and calls recvBlock.
func (u *upstream) request(out []byte, limit int) (*block, int, error) {
	u.ask, u.sent, u.step = out, 0, askCheck
	u.limit = limit
	err := u.rc.Read(u.askFn)
	u.ask = nil
	if err == nil && u.step != askWait {
		return nil, 0, nil
	}
	n, err := u.received(err)
	b := u.block
	u.block = nil
	if err != nil && b != nil {
		putBlock(b)
		b = nil
	}
	return b, n, err
}

func (u *upstream) tryAsk(fd uintptr) bool {
	switch u.step {
	case askCheck:
		if _, e := sock.Recv(u.fd, u.peek[:]); e != syscall.EAGAIN {
			u.step = askStale
			return true
		}
		fallthrough
	case askSend:
		n, e := sock.Send(u.fd, u.ask)
		if e != 0 && e != syscall.EAGAIN {
			u.step = askFailed
			return true
		}
		if u.sent = n; n < len(u.ask) {
			u.step = askPartly
			return true
		}
		if u.noWait {
			u.step = askSent
			return true
		}
		u.step = askWait
		return false // what arrives from here on wakes us
	}
	return u.tryRecv(fd)
}

// dial connects to a server.
func (h *HTTP) dial(m *pool.Member) (*upstream, error) {
	w := h.e.wheel
	if !h.budget.Take(1) {
		return nil, os.NewSyscallError("socket", syscall.EMFILE)
	}
	fd, errno := sock.Connect(m.Addr())
	if errno != 0 {
		h.budget.Give(1)
		return nil, os.NewSyscallError("connect", errno)
	}
	sock.Tune(fd)
	u := &upstream{member: m}
	if err := u.init(fd, w, h.budget); err != nil {
		return nil, err
	}
	u.askFn = u.tryAsk
	u.wtimer.arm(w.waits.connect)
	err := u.rc.Write(func(uintptr) bool {
		connected, e := connectState(fd)
		u.werr = e
		return connected || e != 0
	})
	if !u.wtimer.disarm() && err == nil {
		err = os.ErrDeadlineExceeded
	}
	if err == nil && u.werr != 0 {
		err = os.NewSyscallError("connect", u.werr)
	}
	if err != nil {
		u.close()
		return nil, err
	}
	return u, nil
}

// connectState tells whether a connect has come to an end: connected, still on
// its way (0), or failed.
func connectState(fd int) (connected bool, errno syscall.Errno) {
	if e := sock.Error(fd); e != 0 {
		return false, e
	}
	switch _, err := syscall.Getpeername(fd); err {
	case nil:
		return true, 0
	case syscall.ENOTCONN:
		return false, 0
	default:
		if e, ok := err.(syscall.Errno); ok {
			return false, e
		}
		return false, syscall.EIO
	}
}

// kept are the idle connections to one member.
type kept struct {
	shards [keptShards]struct {
		mu   sync.Mutex
		list []*upstream // the one used last at the end
		dead bool        // the member has left its pool
		_    [24]byte
	}
}

// upstreams keeps the idle connections of an engine.
type upstreams struct {
	members atomic.Pointer[map[*pool.Member]*kept]

	mu     sync.Mutex // orders writers of members
	closed bool
}

// take returns a kept connection to m that was asked something at the given time
// or later, or nil. The shard is the caller's own.
func (us *upstreams) take(m *pool.Member, shard uint32, asked int64) *upstream {
	k := us.of(m)
	if k == nil {
		return nil
	}
	for i := range uint32(keptShards) {
		s := &k.shards[(shard+i)%keptShards]
		s.mu.Lock()
		if n := len(s.list); n > 0 && s.list[n-1].asked >= asked {
			u := s.list[n-1]
			s.list[n-1] = nil
			s.list = s.list[:n-1]
			s.mu.Unlock()
			return u
		}
		s.mu.Unlock()
	}
	return nil
}

func (us *upstreams) of(m *pool.Member) *kept {
	members := us.members.Load()
	if members == nil {
		return nil
	}
	return (*members)[m]
}

// put keeps a connection for later or closes it.
func (us *upstreams) put(u *upstream, shard uint32, now int64) {
	if !u.member.Usable() {
		u.close()
		return
	}
	k := us.of(u.member)
	if k == nil {
		if k = us.add(u.member); k == nil {
			u.close()
			return
		}
	}
	u.since = now
	s := &k.shards[shard%keptShards]
	s.mu.Lock()
	if len(s.list) >= keptPerShard || s.dead || us.isClosed() {
		s.mu.Unlock()
		u.close()
		return
	}
	s.list = append(s.list, u)
	s.mu.Unlock()
}

func (us *upstreams) isClosed() bool { return us.members.Load() == nil }

func (us *upstreams) add(m *pool.Member) *kept {
	us.mu.Lock()
	defer us.mu.Unlock()
	if us.closed {
		return nil
	}
	next := map[*pool.Member]*kept{}
	if old := us.members.Load(); old != nil {
		if k := (*old)[m]; k != nil {
			return k
		}
		for m, k := range *old {
			next[m] = k
		}
	}
	k := new(kept)
	next[m] = k
	us.members.Store(&next)
	return k
}

// sweep closes what has been idle too long, what its server closed, and all of
// members that left their pool.
func (us *upstreams) sweep(now int64) {
	members := us.members.Load()
	if members == nil {
		return
	}
	gone := false
	for m, k := range *members {
		gone = gone || m.Removed()
		us.sweepMember(k, !m.Usable(), m.Removed(), now)
	}
	if !gone {
		return
	}
	us.mu.Lock()
	defer us.mu.Unlock()
	if us.closed {
		return
	}
	next := map[*pool.Member]*kept{}
	for m, k := range *us.members.Load() {
		if !m.Removed() {
			next[m] = k
		}
	}
	us.members.Store(&next)
}

func (us *upstreams) sweepMember(k *kept, all, dead bool, now int64) {
	for i := range k.shards {
		s := &k.shards[i]
		s.mu.Lock()
		stay := s.list[:0]
		var gone []*upstream
		s.dead = s.dead || dead
		for _, u := range s.list {
			if all || now-u.since > int64(keptIdle) || !u.quiet() {
				gone = append(gone, u)
			} else {
				stay = append(stay, u)
			}
		}
		clear(s.list[len(stay):])
		s.list = stay
		s.mu.Unlock()
		for _, u := range gone {
			u.close()
		}
	}
}

// quiet tells whether nothing has come on an idle connection, its end included.
func (u *upstream) quiet() bool {
	_, e := sock.Recv(u.fd, u.peek[:])
	return e == syscall.EAGAIN
}

// close closes all kept connections and keeps none from now on.
func (us *upstreams) close() {
	us.mu.Lock()
	us.closed = true
	members := us.members.Swap(nil)
	us.mu.Unlock()
	if members == nil {
		return
	}
	for _, k := range *members {
		us.sweepMember(k, true, true, 0)
	}
}
