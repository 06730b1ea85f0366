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
