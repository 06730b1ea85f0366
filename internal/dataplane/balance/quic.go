package balance

import "encoding/binary"

// quicKeyBytes is how much of a connection ID counts. Packets after the
// handshake do not say how long the ID is, so that all must be told apart by
// what is there in any case.
const quicKeyBytes = 8

// QUICConnectionID finds the ID that a QUIC packet is addressed to, which is
// what scheduler qch goes by; nil where there is none to be found. It looks at
// clear text alone:
//
//   - Long headers of draft 10, which the vendor documents: 1 byte, 8 bytes of
//     ID, the version (ff00000a).
//   - Long headers of all later versions (RFC 8999): 1 byte, 4 bytes of version,
//     the ID's length, the ID.
//   - Short headers: 1 byte, the ID. Its length is known to the server alone; at
//     least 8 bytes are taken for granted.
//
// At most 8 bytes are returned, so that both kinds of packets of one ID agree.
func QUICConnectionID(datagram []byte) []byte {
	const (
		long        = 0x80
		newestDraft = 0xff00000a // of those with 8 bytes of ID in front of the version
		oldestDraft = 0xff000001
		version     = 1 + quicKeyBytes
		length      = 1 + 4
		mostLength  = 20 // of RFC 9000
	)
	if len(datagram) < 1+quicKeyBytes {
		return nil
	}
	if datagram[0]&long == 0 {
		return datagram[1 : 1+quicKeyBytes]
	}
	if len(datagram) >= version+4 {
		if v := binary.BigEndian.Uint32(datagram[version:]); oldestDraft <= v && v <= newestDraft {
			return datagram[1 : 1+quicKeyBytes]
		}
	}
	n := int(datagram[length])
	if n == 0 || n > mostLength || len(datagram) < length+1+n {
		return nil
	}
	return datagram[length+1 : length+1+min(n, quicKeyBytes)]
}

// HashConnectionID is the key of scheduler qch: the first 8 bytes of a QUIC
// connection ID.
func HashConnectionID(id []byte) uint64 {
	var b [quicKeyBytes]byte
	n := copy(b[:], id)
	return mix(mix(hashSeed^binary.BigEndian.Uint64(b[:])) ^ uint64(n))
}
