package handover

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Version of the messages. Sides of different versions do not talk: the older
// would have to guess what the younger means.
const Version = 1

// Kind says what a message is about.
type Kind uint8

// The kinds, in the order in which they are sent. Welcome, Estate, Memory,
// Frozen, Committed and Abort are the old process's; Abort is also sent by the new.
const (
	Hello     Kind = iota + 1 // the new process is there
	Welcome                   // so is the old one
	Release                   // give the store free
	Estate                    // what there is to take over
	Switch                    // take in nothing new any more
	Memory                    // what one frontend remembers
	Frozen                    // that was all
	Commit                    // from now on the new process serves
	Committed                 // yes
	Abort                     // no; the body says why
	received                  // between Conns: a packet with descriptors has arrived
)

func (k Kind) String() string {
	names := [...]string{"", "hello", "welcome", "release", "estate", "switch", "memory", "frozen", "commit", "committed", "abort", "received"}
	if int(k) < len(names) && k > 0 {
		return names[k]
	}
	return fmt.Sprintf("message %d", uint8(k))
}

// A packet is
//
//	"OSLB" | version 1 byte | kind 1 | flags 1 | descriptors 1 | the message's bytes
//
// and a message is one or more, each but the last with the flag more.
const (
	headerSize = 8
	// packetMost leaves room in a socket buffer of the usual size.
	packetMost = 64 << 10
	// packetFDs is less than the kernel's limit of 253.
	packetFDs = 200

	flagMore = 1
)

var magic = [4]byte{'O', 'S', 'L', 'B'}

type header struct {
	kind Kind
	more bool
	fds  int
}

// ErrVersion says that the other side speaks another version.
var ErrVersion = errors.New("the other process speaks another version of the handover protocol; stop it and start the new one")

func appendHeader(b []byte, h header) []byte {
	b = append(b, magic[:]...)
	flags := byte(0)
	if h.more {
		flags |= flagMore
	}
	return append(b, Version, byte(h.kind), flags, byte(h.fds))
}

// parsePacket splits a packet. The body is part of p.
func parsePacket(p []byte) (h header, body []byte, err error) {
	if len(p) < headerSize || binary.BigEndian.Uint32(p) != binary.BigEndian.Uint32(magic[:]) {
		return h, nil, errors.New("not a message of a handover")
	}
	if p[4] != Version {
		return h, nil, ErrVersion
	}
	h = header{kind: Kind(p[5]), more: p[6]&flagMore != 0, fds: int(p[7])}
	switch {
	case h.kind == 0 || h.kind > received:
		return h, nil, fmt.Errorf("unknown %v", h.kind)
	case p[6]&^flagMore != 0:
		return h, nil, fmt.Errorf("%v with unknown flags %#x", h.kind, p[6])
	case h.fds > packetFDs:
		return h, nil, fmt.Errorf("%v with %d descriptors in one packet", h.kind, h.fds)
	case h.more && len(p) == headerSize && h.fds == 0:
		return h, nil, fmt.Errorf("%v with an empty part", h.kind)
	}
	return h, p[headerSize:], nil
}
