package l4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"
)

// memoryForm is the form of an encoded memory. A process that knows another one
// begins without the memory.
const memoryForm = 1

// Encode writes a memory down. Flows are many, so the form is a compact one:
// numbers are varints, addresses have a length before them.
func (m *Memory) Encode() ([]byte, error) {
	b := []byte{memoryForm}
	b = binary.AppendUvarint(b, uint64(len(m.Members)))
	var err error
	addrPort := func(a netip.AddrPort) {
		at := len(b)
		b = append(b, 0)
		var e error
		b, e = a.AppendBinary(b)
		if n := len(b) - at - 1; n > math.MaxUint8 {
			e = fmt.Errorf("address %s is too long", a)
		} else {
			b[at] = byte(n)
		}
		err = errors.Join(err, e)
	}
	number := func(n int64) { b = binary.AppendUvarint(b, uint64(max(n, 0))) }
	for _, r := range m.Members {
		number(int64(len(r.ID)))
		b = append(b, r.ID...)
		addrPort(r.Addr)
		number(int64(r.Unusable))
	}
	number(int64(len(m.Affinity)))
	for _, c := range m.Affinity {
		addrPort(netip.AddrPortFrom(c.Source, 0))
		number(int64(c.Member))
		number(int64(c.Age))
	}
	number(int64(len(m.Ports)))
	for _, p := range m.Ports {
		number(int64(len(p.Carriers)))
		for _, c := range p.Carriers {
			number(int64(c.Index)<<2 | bit(c.Own)<<1 | bit(c.IPv6))
		}
		number(int64(len(p.Flows)))
		for i := range p.Flows {
			f := &p.Flows[i]
			addrPort(f.Client)
			addrPort(f.Server)
			number(int64(f.Member)<<1 | bit(f.Proxied))
			number(int64(f.Carrier))
			number(int64(f.Idle))
			number(int64(f.Used))
			number(int64(f.Answered))
		}
	}
	return b, err
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// DecodeMemory reads what Encode wrote. Places may lie beyond what there is;
// Recall looks.
func DecodeMemory(b []byte) (*Memory, error) {
	if len(b) == 0 || b[0] != memoryForm {
		return nil, errors.New("the memory of a frontend has an unknown form")
	}
	r := reader{rest: b[1:]}
	m := &Memory{}
	for range r.count(3) {
		m.Members = append(m.Members, RememberedMember{ID: string(r.bytes(r.count(1))), Addr: r.addrPort(), Unusable: r.duration()})
	}
	for range r.count(3) {
		m.Affinity = append(m.Affinity, RememberedClient{Source: r.addrPort().Addr(), Member: r.place(), Age: r.duration()})
	}
	for range r.count(2) {
		var p RememberedPort
		for range r.count(1) {
			n := r.place()
			p.Carriers = append(p.Carriers, RememberedCarrier{Index: n >> 2, Own: n&2 != 0, IPv6: n&1 != 0})
		}
		n := r.count(7)
		p.Flows = make([]RememberedFlow, n)
		for i := range n {
			f := &p.Flows[i]
			f.Client, f.Server = r.addrPort(), r.addrPort()
			n := r.place()
			f.Member, f.Proxied = n>>1, n&1 == 1
			f.Carrier = r.place()
			f.Idle, f.Used, f.Answered = r.duration(), r.duration(), r.duration()
		}
		m.Ports = append(m.Ports, p)
	}
	if r.bad || len(r.rest) > 0 {
		return nil, errors.New("the memory of a frontend is damaged")
	}
	return m, nil
}

// reader reads until something is wrong, and gives zeros from then on.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) fail() {
	r.bad, r.rest = true, nil
}

func (r *reader) number(most uint64) uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 || n > most {
		r.fail()
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// count is how many things follow, each of them size bytes or more.
func (r *reader) count(size int) int { return int(r.number(uint64(len(r.rest) / size))) }

func (r *reader) place() int { return int(r.number(math.MaxInt32)) }

// duration is bounded so that no sum of it with a clock overflows.
func (r *reader) duration() time.Duration { return time.Duration(r.number(math.MaxInt64 / 4)) }

func (r *reader) bytes(n int) []byte {
	if n > len(r.rest) {
		r.fail()
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) addrPort() (a netip.AddrPort) {
	if err := a.UnmarshalBinary(r.bytes(int(r.number(math.MaxUint8)))); err != nil {
		r.fail()
	}
	return a
}
