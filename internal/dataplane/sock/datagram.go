package sock

import (
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Name is an address in the form of the kernel, ready to send to.
type Name struct {
	raw unix.RawSockaddrInet6 // the longest; an IPv4 address uses the front
	len uint32
}

// NameOf translates an address. An IPv4 address in IPv6 form counts as IPv4.
func NameOf(addr netip.AddrPort) (n Name) {
	ip := addr.Addr().Unmap()
	if ip.Is4() {
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(&n.raw))
		sa.Family, sa.Port, sa.Addr = unix.AF_INET, networkOrder(addr.Port()), ip.As4()
		n.len = unix.SizeofSockaddrInet4
		return n
	}
	n.raw.Family, n.raw.Port, n.raw.Addr = unix.AF_INET6, networkOrder(addr.Port()), ip.As16()
	if zone := ip.Zone(); zone != "" {
		n.raw.Scope_id = zoneID(zone)
	}
	n.len = unix.SizeofSockaddrInet6
	return n
}

// AddrPort gives the address, without zone.
func (n *Name) AddrPort() netip.AddrPort { return addrPort(&n.raw) }

const (
	// datagramMost is the longest datagram there is.
	datagramMost = 64 << 10
	// datagramStride puts the buffers at different places of the processor's
	// caches: datagrams are short as a rule, and beginnings at equal places would
	// push each other out.
	datagramStride = datagramMost + 192
)

// Batch holds datagrams that are received by one call. Its buffers are virtual
// memory until they are written to. It belongs to one loop.
type Batch struct {
	headers []mmsghdr
	vectors []unix.Iovec
	names   []Name
	data    []byte
}

// mmsghdr is the kernel's struct mmsghdr.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// NewBatch makes room for n datagrams of any size.
func NewBatch(n int) *Batch {
	b := &Batch{
		headers: make([]mmsghdr, n),
		vectors: make([]unix.Iovec, n),
		names:   make([]Name, n),
		data:    make([]byte, n*datagramStride),
	}
	for i := range n {
		b.vectors[i].Base = &b.data[i*datagramStride]
		b.vectors[i].SetLen(datagramMost)
		h := &b.headers[i].hdr
		h.Iov = &b.vectors[i]
		h.SetIovlen(1)
		h.Name = (*byte)(unsafe.Pointer(&b.names[i].raw))
	}
	return b
}

// Len is the room of the batch in datagrams.
func (b *Batch) Len() int { return len(b.headers) }

// Receive takes what there is from a socket into the places from first on, and
// tells how many datagrams that were. EAGAIN says that there is nothing now.
func (b *Batch) Receive(fd, first int) (n int, errno syscall.Errno) {
	headers := b.headers[first:]
	for i := range headers {
		headers[i].hdr.Namelen = unix.SizeofSockaddrInet6
	}
	for {
		r, _, e := syscall.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(headers))), uintptr(len(headers)), unix.MSG_DONTWAIT, 0, 0)
		if e == 0 {
			return int(r), 0
		}
		if e != unix.EINTR {
			return 0, e
		}
	}
}

// Data is the datagram at place i.
func (b *Batch) Data(i int) []byte {
	return b.data[i*datagramStride:][:b.headers[i].len:datagramStride]
}

// From is the sender of the datagram at place i.
func (b *Batch) From(i int) *Name {
	b.names[i].len = b.headers[i].hdr.Namelen
	return &b.names[i]
}

// Outgoing collects datagrams that are sent by one call. What is added must not
// be changed until it is sent. It belongs to one loop.
type Outgoing struct {
	headers []mmsghdr
	vectors []unix.Iovec // two for each
	names   []Name
	n       int
}

// NewOutgoing makes room for n datagrams.
func NewOutgoing(n int) *Outgoing {
	o := &Outgoing{headers: make([]mmsghdr, n), vectors: make([]unix.Iovec, 2*n), names: make([]Name, n)}
	for i := range n {
		h := &o.headers[i].hdr
		h.Iov = &o.vectors[2*i]
		h.Name = (*byte)(unsafe.Pointer(&o.names[i].raw))
	}
	return o
}

// Add puts in a datagram of a head, which may be empty, and a body.
func (o *Outgoing) Add(to *Name, head, body []byte) {
	i := o.n
	o.n++
	o.names[i] = *to
	h := &o.headers[i].hdr
	h.Namelen = to.len
	v := o.vectors[2*i : 2*i+2]
	k := 0
	if len(head) > 0 {
		v[0].Base = unsafe.SliceData(head)
		v[0].SetLen(len(head))
		k = 1
	}
	v[k].Base = unsafe.SliceData(body)
	v[k].SetLen(len(body))
	h.SetIovlen(k + 1)
}

// Len is how many datagrams are in.
func (o *Outgoing) Len() int { return o.n }

// Size is the size of datagram i, its head included.
func (o *Outgoing) Size(i int) int {
	size := int(o.vectors[2*i].Len)
	if o.headers[i].hdr.Iovlen > 1 {
		size += int(o.vectors[2*i+1].Len)
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
	for at := 0; at < o.n; {
		r, _, e := syscall.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&o.headers[at])), uintptr(o.n-at), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		switch {
		case e == 0 && r > 0:
			at += int(r)
		case e == unix.EINTR, e == unix.ECONNREFUSED: // the latter is about one sent before, which this call took note of
		default: // it was the first of them
			failed(at, e)
			at++
		}
	}
	o.n = 0
}
