package sock

import (
	"encoding/binary"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Outgoing collects datagrams that are sent by one call. What is added must not
// be changed until it is sent. It belongs to one loop.
//
// Datagrams of one size in sequence that go to one address are handed to the
// kernel as one large one that is cut at the last moment (UDP_SEGMENT): the way
// through the stack is then paid for once. Streams such as QUIC's are of that
// kind.
type Outgoing struct {
	names   []Name
	starts  []int // of each datagram in vectors, and the end of the last
	vectors []unix.Iovec
	n       int

	headers  []mmsghdr
	controls []segmentControl
	counts   []int // datagrams of each header
	apart    int   // datagrams below this are sent one by one
	resting  int   // calls of Send until datagrams are joined again
}

const (
	// joinMost and joinBytes bound what is joined, joinSize the single datagram:
	// what fills a frame of Ethernet or less is not cut in two by IP.
	joinMost  = 64
	joinBytes = 60000
	joinSize  = 1452
	// joinRest is how many calls go without joining after the kernel refused it.
	joinRest = 1000
)

// segmentControl is the kernel's control message that tells the size to cut at.
type segmentControl struct {
	header unix.Cmsghdr
	data   [8]byte
}

// NewOutgoing makes room for n datagrams.
func NewOutgoing(n int) *Outgoing {
	o := &Outgoing{
		names: make([]Name, n), starts: make([]int, n+1), vectors: make([]unix.Iovec, 2*n),
		headers: make([]mmsghdr, n), controls: make([]segmentControl, n), counts: make([]int, n),
	}
	for i := range o.controls {
		h := &o.controls[i].header
		h.Level, h.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
		h.SetLen(unix.SizeofCmsghdr + 2)
	}
	return o
}

// Add puts in a datagram of a head, which may be empty, and a body.
func (o *Outgoing) Add(to *Name, head, body []byte) {
	at := o.starts[o.n]
	o.names[o.n] = *to
	if len(head) > 0 {
		o.vectors[at].Base = unsafe.SliceData(head)
		o.vectors[at].SetLen(len(head))
		at++
	}
	o.vectors[at].Base = unsafe.SliceData(body)
	o.vectors[at].SetLen(len(body))
	o.n++
	o.starts[o.n] = at + 1
}

// Len is how many datagrams are in.
func (o *Outgoing) Len() int { return o.n }

// Size is the size of datagram i, its head included.
func (o *Outgoing) Size(i int) (size int) {
	for _, v := range o.vectors[o.starts[i]:o.starts[i+1]] {
		size += int(v.Len)
	}
	return size
}

// Bytes is the size of all.
func (o *Outgoing) Bytes() (sum int) {
	for i := range o.n {
		sum += o.Size(i)
	}
	return sum
}

// Reset empties o.
func (o *Outgoing) Reset() { o.n = 0 }

// Send sends everything through a socket and empties o. It calls failed for
// each datagram, by its number in the order of Add, that the kernel refused;
// the others go on their way.
func (o *Outgoing) Send(fd int, failed func(i int, errno syscall.Errno)) {
	o.apart = 0
	if o.resting > 0 {
		o.resting--
		o.apart = o.n
	}
	for at := 0; at < o.n; {
		m := o.pack(at)
		r, _, e := syscall.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&o.headers[0])), uintptr(m), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		switch {
		case e == 0 && r > 0:
			for _, n := range o.counts[:r] {
				at += n
			}
		case e == unix.EINTR, e == unix.ECONNREFUSED: // the latter is about one sent before, which this call took note of
		case o.counts[0] > 1: // a path that does not do it, or a large one that does not fit
			o.apart = at + o.counts[0]
			if e != unix.EAGAIN && e != unix.ENOBUFS {
				o.resting = joinRest
			}
		default: // it was the first of them
			failed(at, e)
			at++
		}
	}
	o.n = 0
}

// pack makes messages of the datagrams from at on, and tells how many those are.
func (o *Outgoing) pack(at int) (messages int) {
	for at < o.n {
		size, n := o.Size(at), 1
		if at >= o.apart && size > 0 && size <= joinSize {
			n = o.join(at, size)
		}
		h := &o.headers[messages].hdr
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(&o.names[at].raw)), o.names[at].len
		h.Iov = &o.vectors[o.starts[at]]
		h.SetIovlen(o.starts[at+n] - o.starts[at])
		h.Control = nil
		h.SetControllen(0)
		if n > 1 {
			c := &o.controls[messages]
			binary.NativeEndian.PutUint16(c.data[:], uint16(size))
			h.Control = (*byte)(unsafe.Pointer(c))
			h.SetControllen(int(unsafe.Sizeof(*c)))
		}
		o.counts[messages] = n
		messages++
		at += n
	}
	return messages
}

// join tells how many datagrams from at on can go as one: to one address, all of
// one size but for the last, which may be shorter.
func (o *Outgoing) join(at, size int) int {
	n, sum := 1, size
	for at+n < o.n && n < joinMost && o.names[at+n] == o.names[at] {
		next := o.Size(at + n)
		if sum += next; next == 0 || next > size || sum > joinBytes {
			break
		}
		n++
		if next < size {
			break
		}
	}
	return n
}
