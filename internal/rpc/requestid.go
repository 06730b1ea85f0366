package rpc

import "crypto/rand"

// newRequestID makes a random UUID (version 4) in upper case.
func newRequestID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails: the runtime ends the process instead
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	var text [36]byte
	n := 0
	for i, c := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			text[n] = '-'
			n++
		}
		text[n], text[n+1] = upperHex[c>>4], upperHex[c&15]
		n += 2
	}
	return string(text[:])
}
