package l7

import (
	"net/netip"
	"strconv"
)

// peerText keeps what servers are told of a client, its address and port as
// text, from one request to the next. It has room for those of IPv4.
type peerText struct {
	room    [len("255.255.255.255" + "65535")]byte
	ip, all uint8 // bytes of room that are the address, and both; 0: not kept
}

// of gives the texts. Those that are not kept are made in scratch.
func (t *peerText) of(peer netip.AddrPort, scratch *[]byte) (addr, port []byte) {
	if t.all == 0 {
		b := peer.Addr().AppendTo((*scratch)[:0])
		ip := len(b)
		b = strconv.AppendUint(b, uint64(peer.Port()), 10)
		*scratch = b
		if len(b) > len(t.room) {
			return b[:ip], b[ip:]
		}
		t.ip, t.all = uint8(ip), uint8(copy(t.room[:], b))
	}
	return t.room[:t.ip], t.room[t.ip:t.all]
}
