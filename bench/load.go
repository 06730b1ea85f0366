package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// loadMode is what each connection of a load does.
type loadMode string

const (
	httpKeep loadMode = "http-keep" // request after request on one connection
	httpNew  loadMode = "http-new"  // one request, announced as the last
	tcpNew   loadMode = "tcp-new"   // connect, one exchange, close
	tcpEcho  loadMode = "tcp-echo"  // exchange after exchange on one connection
	tcpBulk  loadMode = "tcp-bulk"  // ask once, then swallow
	udpEcho  loadMode = "udp-echo"  // exchange after exchange from one port

	// Over TLS 1.3.

	httpsKeep   loadMode = "https-keep"   // requests on one connection, then on another that resumes its session
	httpsNew    loadMode = "https-new"    // a full handshake for each request
	httpsResume loadMode = "https-resume" // a resumed handshake for each request
)

// secure reports whether the load is made over TLS.
func (m loadMode) secure() bool { return m == httpsKeep || m == httpsNew || m == httpsResume }

// requestsEach is how many requests a load sends over one HTTP or HTTPS
// connection. The limit of 100 that OpenSLB keeps to, as the vendor documents,
// would else have it alone pay for new connections.
const requestsEach = 99

// loadJob is handed to the load helper.
type loadJob struct {
	Mode     loadMode
	Addr     netip.AddrPort
	Source   netip.Addr // the first of sourceCount to come from
	Conns    int
	Size     int // of the body to ask for; 0: a hundred bytes
	Rate     int // operations per second; 0: closed loop
	Warm     time.Duration
	Duration time.Duration
	Idle     bool // one exchange on each connection, then hold them open
}

// loadResult is what the helper answers. Operations are bytes for tcp-bulk.
type loadResult struct {
	Operations int64
	Faults     int
	FirstFault string
	P50, P99   time.Duration
}

var (
	keepRequest = []byte("GET /bench HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
	lastRequest = []byte("GET /bench HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: bench\r\nAccept: */*\r\nConnection: close\r\n\r\n")
	exchange    = bytes.Repeat([]byte("e"), 64)
)

// load is the helper's state; one thread, no locks.
type load struct {
	job     loadJob
	backend *backend // served by the same thread; nil: by another process
	poller  *poller
	conns   []loadConn // by descriptor
	free    []int      // idle descriptors of a paced load
	due     []int64    // scheduled times that still wait for a free connection
	message []byte
	buf     []byte
	source  byte
	open    int
	opened  int // exchanges finished by an idle load

	counting bool
	res      loadResult
	times    histogram
}

type loadConn struct {
	state connState
	began int64 // nanoseconds; of the operation under way
	got   int
	want  int // 0: not known yet
	sent  int // requests
	last  bool
}

type connState uint8

const (
	closed connState = iota
	connecting
	waiting // for an answer
	idle
)

// runLoad runs a job by itself.
func runLoad(job loadJob) error {
	runtime.LockOSThread()
	if job.Mode.secure() {
		return runTLSLoad(job)
	}
	p, err := newPoller()
	if err != nil {
		return err
	}
	return (&load{job: job, poller: p}).run()
}

// run opens the connections, prints "begin" when warm, and a loadResult at the
// end, when it has closed them. An idle load ends with its standard input.
func (l *load) run() error {
	job := l.job
	if job.Conns < 1 || job.Conns > 9000 {
		return fmt.Errorf("%d connections are out of bounds", job.Conns)
	}
	l.conns, l.buf = make([]loadConn, 65536), make([]byte, 256<<10)
	switch job.Mode {
	case httpKeep:
		l.message = keepRequest
		if job.Size > 0 {
			l.message = bytes.Replace(keepRequest, []byte("/bench"), fmt.Appendf(nil, "/%d", job.Size), 1)
		}
	case httpNew:
		l.message = lastRequest
	case tcpNew, tcpEcho, tcpBulk, udpEcho:
		l.message = exchange
	default:
		return fmt.Errorf("unknown mode %q", job.Mode)
	}
	defer l.closeAll()
	now := time.Now().UnixNano()
	for range job.Conns {
		if err := l.dial(now); err != nil {
			return fmt.Errorf("connect to %v: %w", job.Addr, err)
		}
		if job.Idle { // one after the other, so that no backlog overflows
			for want := l.opened + 1; l.opened < want && l.res.Faults == 0; {
				if err := l.turn(1000); err != nil {
					return err
				}
			}
		}
	}
	if job.Idle {
		if l.res.Faults > 0 {
			return fmt.Errorf("idle connections: %s", l.res.FirstFault)
		}
		fmt.Println("begin")
		_, _ = io.Copy(io.Discard, os.Stdin)
		return nil
	}
	if err := l.until(time.Now().Add(job.Warm)); err != nil {
		return err
	}
	l.counting, l.res, l.times = true, loadResult{}, histogram{}
	fmt.Println("begin")
	if err := l.until(time.Now().Add(job.Duration)); err != nil {
		return err
	}
	l.res.P50, l.res.P99 = l.times.quantile(0.50), l.times.quantile(0.99)
	return json.NewEncoder(os.Stdout).Encode(l.res)
}

func (l *load) closeAll() {
	for fd := range l.conns {
		if l.conns[fd].state != closed {
			unix.Close(fd)
		}
	}
}

// until turns the loop to the deadline, issuing paced operations once a
// millisecond.
func (l *load) until(deadline time.Time) error {
	next := time.Now()
	var owed float64
	for {
		now := time.Now()
		if !now.Before(deadline) {
			return nil
		}
		timeout := 20
		if l.job.Rate > 0 {
			timeout = 1
			for ; !next.After(now); next = next.Add(time.Millisecond) {
				for owed += float64(l.job.Rate) / 1000; owed >= 1; owed-- {
					l.due = append(l.due, next.UnixNano())
				}
			}
			l.issue()
		}
		if err := l.turn(timeout); err != nil {
			return err
		}
	}
}

// issue starts operations that are due on connections that are free.
func (l *load) issue() {
	n := min(len(l.due), len(l.free))
	for i := range n {
		fd := l.free[len(l.free)-1]
		l.free = l.free[:len(l.free)-1]
		if l.conns[fd].state == idle {
			l.send(fd, l.due[i])
		}
	}
	l.due = l.due[:copy(l.due, l.due[n:])]
}

func (l *load) turn(milliseconds int) error {
	events, err := l.poller.wait(milliseconds)
	if err != nil {
		return err
	}
	now := time.Now().UnixNano()
	for i := range events {
		fd := int(events[i].Fd)
		switch {
		case l.conns[fd].state == connecting:
			l.connected(fd, now)
		case l.conns[fd].state == closed && l.backend != nil:
			l.backend.ready(fd, events[i].Events)
		default:
			l.readable(fd, now)
		}
	}
	if l.job.Rate > 0 {
		l.issue()
	}
	return nil
}

func (l *load) fault(what string, err error) {
	if l.res.Faults == 0 {
		l.res.FirstFault = fmt.Sprintf("%s: %v", what, err)
	}
	l.res.Faults++
}

// dial opens one more connection and sends at once when the handshake is over
// already, as it mostly is on loopback.
func (l *load) dial(now int64) error {
	l.source = (l.source + 1) % sourceCount
	source := l.job.Source.As4()
	source[3] += l.source
	fd, err := dial(netip.AddrFrom4(source), l.job.Addr, l.job.Mode == udpEcho)
	if err != nil {
		return err
	}
	if fd >= len(l.conns) {
		unix.Close(fd)
		return fmt.Errorf("descriptor %d is out of bounds", fd)
	}
	l.conns[fd] = loadConn{state: connecting, began: now, sent: 1}
	n, err := send(fd, l.message)
	events := uint32(unix.EPOLLIN)
	switch {
	case errors.Is(err, unix.EAGAIN):
		events = unix.EPOLLOUT
	case err != nil:
		unix.Close(fd)
		return err
	case n != len(l.message):
		unix.Close(fd)
		return io.ErrShortWrite
	default:
		l.conns[fd].state = waiting
	}
	l.open++
	return l.poller.add(fd, events)
}

// connected sends the first message of a connection that took its time.
func (l *load) connected(fd int, now int64) {
	n, err := send(fd, l.message)
	if err == unix.EAGAIN {
		return
	}
	if err != nil || n != len(l.message) {
		l.fault("connect", err)
		l.again(fd, now)
		return
	}
	l.conns[fd].state = waiting
	if err := l.poller.change(fd, unix.EPOLLIN); err != nil {
		l.fault("poll", err)
	}
}

// again closes a connection and opens another in its place.
func (l *load) again(fd int, began int64) {
	unix.Close(fd)
	l.conns[fd] = loadConn{}
	l.open--
	if err := l.dial(began); err != nil {
		l.fault("connect", err)
	}
}

// send begins an operation on a connection that is free.
func (l *load) send(fd int, began int64) {
	c := &l.conns[fd]
	if c.sent == requestsEach && l.job.Mode == httpKeep {
		l.again(fd, began)
		return
	}
	*c = loadConn{state: waiting, began: began, sent: c.sent + 1}
	if n, err := send(fd, l.message); err != nil || n != len(l.message) {
		l.fault("send", err)
		l.again(fd, began)
	}
}

func (l *load) readable(fd int, now int64) {
	c := &l.conns[fd]
	if l.job.Mode == tcpBulk {
		l.swallow(fd, now)
		return
	}
	n, err := recv(fd, l.buf)
	if n <= 0 {
		if err == unix.EAGAIN || err == unix.EINTR {
			return
		}
		if c.state == waiting {
			l.fault("connection ended", err)
		}
		l.again(fd, now)
		return
	}
	if c.state != waiting {
		l.fault("bytes that nobody asked for", nil)
		l.again(fd, now)
		return
	}
	if c.want == 0 && !l.head(c, l.buf[:n]) {
		l.again(fd, now)
		return
	}
	c.got += n
	if c.got < c.want {
		return
	}
	l.done(fd, c, now)
}

// head learns the length of an answer from its first bytes; the backends' heads
// come in one piece.
func (l *load) head(c *loadConn, in []byte) bool {
	if l.job.Mode == tcpNew || l.job.Mode == tcpEcho || l.job.Mode == udpEcho {
		c.want = len(exchange)
		return true
	}
	i := bytes.Index(in, headEnd)
	if i < 0 || len(in) < 12 || string(in[9:12]) != "200" {
		l.fault("answer", fmt.Errorf("%.60q", in))
		return false
	}
	head := in[:i+2]
	j := bytes.Index(head, []byte("ontent-"))
	for ; j >= 0 && !lengthField(head[j:]); j = nextField(head, j) {
	}
	if j < 0 {
		l.fault("answer", fmt.Errorf("no length in %.60q", in))
		return false
	}
	value := bytes.TrimLeft(head[j+len("ontent-length:"):], " ")
	end := bytes.IndexByte(value, '\r')
	length, err := strconv.Atoi(string(value[:end]))
	if err != nil {
		l.fault("answer", err)
		return false
	}
	c.want = i + 4 + length
	c.last = bytes.Contains(head, []byte("onnection: close"))
	return true
}

// lengthField tells content-length from its like; the first letter's case is the
// proxy's own.
func lengthField(b []byte) bool {
	const name = "ontent-length:"
	return len(b) > len(name) && bytes.EqualFold(b[:len(name)], []byte(name))
}

func nextField(head []byte, j int) int {
	k := bytes.Index(head[j+1:], []byte("ontent-"))
	if k < 0 {
		return -1
	}
	return j + 1 + k
}

// done counts an operation and starts what follows it.
func (l *load) done(fd int, c *loadConn, now int64) {
	if l.counting {
		l.res.Operations++
		l.times.add(now - c.began)
	}
	l.opened++
	switch {
	case l.job.Mode == httpNew || l.job.Mode == tcpNew || c.last:
		l.again(fd, now)
	case l.job.Idle:
		*c = loadConn{state: idle, sent: c.sent}
	case l.job.Rate > 0:
		*c = loadConn{state: idle, sent: c.sent}
		l.free = append(l.free, fd)
	default:
		l.send(fd, now)
	}
}

// swallow discards bulk data inside the kernel.
func (l *load) swallow(fd int, now int64) {
	n, _, err := unix.Recvfrom(fd, l.buf, unix.MSG_TRUNC)
	if n <= 0 {
		if err != unix.EAGAIN && err != unix.EINTR {
			l.fault("connection ended", err)
			l.again(fd, now)
		}
		return
	}
	if l.counting {
		l.res.Operations += int64(n)
	}
}
