package l7

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"unsafe"
)

// crypto/tls keeps the buffers it reads records and handshake messages into for
// as long as the connection lives, at the size of the largest that came: 2 to 4 kB
// after today's handshakes with their long keys, some 17 kB after an upload, and
// as much again in what the collector leaves between two runs. It has no call to
// let them go, so that is done behind its back, under the same conditions under
// which it would make new ones itself: it owns a bytes.Buffer of which nothing is
// left to read. Where it does not have these fields, nothing is done.

// tlsBuffers are the places of the buffers within a tls.Conn.
var tlsBuffers = placesOf[bytes.Buffer](reflect.TypeFor[tls.Conn](), "rawInput", "hand")

// placesOf tells where a struct has the named fields; none, if they are not all
// there or of another type than T.
func placesOf[T any](in reflect.Type, names ...string) []uintptr {
	var places []uintptr
	for _, name := range names {
		f, ok := in.FieldByName(name)
		if !ok || f.Type != reflect.TypeFor[T]() || len(f.Index) != 1 {
			return nil
		}
		places = append(places, f.Offset)
	}
	return places
}

// shrink lets go of empty buffers for what is read. It is for who reads, after a
// read that found no whole record.
func (t *secure) shrink() {
	for _, at := range tlsBuffers {
		b := (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(t.conn), at))
		if b.Len() == 0 {
			*b = bytes.Buffer{}
		}
	}
}
