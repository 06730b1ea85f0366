package handover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of one message: what a node with a hundred thousand flows needs, and
// no more than a process can take.
const (
	MaxBody = 64 << 20
	MaxFDs  = 1 << 16
)

// Message is what one side says to the other.
type Message struct {
	Kind Kind
	Body []byte
	// FDs go along with it. The sender keeps its own; the receiver owns what
	// arrives and must close it.
	FDs []int
}

// Close closes the descriptors that arrived with a message.
func (m *Message) Close() {
	for _, fd := range m.FDs {
		unix.Close(fd)
	}
	m.FDs = nil
}

// AbortError is the other side's refusal.
type AbortError struct{ Reason string }

func (e *AbortError) Error() string { return "the other process gave up: " + e.Reason }

// Conn is a connection to the other process. It is for one goroutine at a time,
// except Close.
type Conn struct {
	c   *net.UnixConn
	pid int
	in  []byte // room for a packet
	oob []byte
	out []byte
}

func newConn(c *net.UnixConn) (*Conn, error) {
	k := &Conn{c: c, in: make([]byte, packetMost+1), oob: make([]byte, unix.CmsgSpace(4*packetFDs))}
	rc, err := c.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("handover: %w", err)
	}
	var cred *unix.Ucred
	if err := rc.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return nil, fmt.Errorf("handover: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("handover: who is at the other end: %w", err)
	}
	if own := uint32(os.Geteuid()); cred.Uid != own && cred.Uid != 0 {
		return nil, fmt.Errorf("handover: process %d belongs to user %d, this one to %d", cred.Pid, cred.Uid, own)
	}
	k.pid = int(cred.Pid)
	return k, nil
}

// Peer is the number of the process at the other end.
func (k *Conn) Peer() int { return k.pid }

// Close ends the connection.
func (k *Conn) Close() { k.c.Close() }

// within has calls fail when ctx ends or the time is up.
func (k *Conn) within(ctx context.Context, limit time.Duration) (done func()) {
	deadline := time.Now().Add(limit)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	conn := net.Conn(k.c)
	conn.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	return func() { stop() }
}

// Send says m to the other side within limit.
func (k *Conn) Send(ctx context.Context, limit time.Duration, m Message) error {
	if len(m.Body) > MaxBody || len(m.FDs) > MaxFDs {
		return fmt.Errorf("handover: %v of %d bytes and %d descriptors is too large", m.Kind, len(m.Body), len(m.FDs))
	}
	defer k.within(ctx, limit)()
	body, fds := m.Body, m.FDs
	for {
		part, pass := body[:min(len(body), packetMost-headerSize)], fds[:min(len(fds), packetFDs)]
		body, fds = body[len(part):], fds[len(pass):]
		more := len(body) > 0 || len(fds) > 0
		if err := k.sendPacket(header{m.Kind, more, len(pass)}, part, pass); err != nil {
			return fmt.Errorf("handover: send %v: %w", m.Kind, err)
		}
		if !more {
			return nil
		}
	}
}

func (k *Conn) sendPacket(h header, body []byte, fds []int) error {
	k.out = append(appendHeader(k.out[:0], h), body...)
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	if _, _, err := k.c.WriteMsgUnix(k.out, rights, nil); err != nil {
		return err
	}
	if len(fds) == 0 {
		return nil
	}
	// The kernel bounds the descriptors that are on their way between processes, so
	// they are waited for packet by packet.
	ack, _, got, err := k.receivePacket()
	closeAll(got)
	if err == nil && ack.kind != received {
		err = fmt.Errorf("%v instead of an acknowledgement", ack.kind)
	}
	return err
}

// Receive waits for a message of the kind wanted, within limit. Abort is an
// *AbortError; the end of the other side is io.EOF.
func (k *Conn) Receive(ctx context.Context, limit time.Duration, want ...Kind) (m Message, err error) {
	defer k.within(ctx, limit)()
	defer func() {
		if err != nil {
			m.Close()
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			m, err = Message{}, fmt.Errorf("handover: wait for %v: %w", want, err)
		}
	}()
	for {
		h, body, fds, err := k.receivePacket()
		m.FDs = append(m.FDs, fds...)
		switch {
		case err != nil:
			return m, err
		case m.Kind != 0 && h.kind != m.Kind:
			return m, fmt.Errorf("%v within %v", h.kind, m.Kind)
		case len(m.Body)+len(body) > MaxBody || len(m.FDs) > MaxFDs:
			return m, fmt.Errorf("%v is too large", h.kind)
		}
		m.Kind = h.kind
		m.Body = append(m.Body, body...)
		if h.fds > 0 {
			if err := k.sendPacket(header{kind: received}, nil, nil); err != nil {
				return m, err
			}
		}
		if h.more {
			continue
		}
		if m.Kind == Abort {
			return m, &AbortError{string(m.Body)}
		}
		for _, one := range want {
			if m.Kind == one {
				return m, nil
			}
		}
		return m, fmt.Errorf("%v came instead", m.Kind)
	}
}

// receivePacket reads one packet. Descriptors are returned with an error too.
func (k *Conn) receivePacket() (h header, body []byte, fds []int, err error) {
	n, oobn, flags, _, err := k.c.ReadMsgUnix(k.in, k.oob)
	if err != nil {
		return h, nil, nil, err
	}
	fds, err = parseRights(k.oob[:oobn])
	switch {
	case err != nil:
		return h, nil, fds, err
	case n == 0 && oobn == 0:
		return h, nil, fds, io.EOF
	case flags&unix.MSG_CTRUNC != 0:
		return h, nil, fds, errors.New("descriptors were lost: this process has too few left; raise its limit (LimitNOFILE= or ulimit -n)")
	case flags&unix.MSG_TRUNC != 0 || n > packetMost:
		return h, nil, fds, errors.New("a packet is too long")
	}
	h, body, err = parsePacket(k.in[:n])
	if err == nil && h.fds != len(fds) {
		err = fmt.Errorf("%v announces %d descriptors and has %d", h.kind, h.fds, len(fds))
	}
	return h, body, fds, err
}

func parseRights(oob []byte) (fds []int, err error) {
	if len(oob) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("descriptors: %w", err)
	}
	for i := range messages {
		got, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return fds, fmt.Errorf("descriptors: %w", err)
		}
		fds = append(fds, got...)
	}
	return fds, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
