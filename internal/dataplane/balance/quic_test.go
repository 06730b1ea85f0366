package balance

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// quicPackets are the beginnings of packets with the ID to be found in them.
var quicPackets = []struct{ name, packet, id string }{
	{"draft 10, initial", "ff" + "8394c8f03e515708" + "ff00000a" + "00000001" + "aabbcc", "8394c8f03e515708"},
	{"draft 10, short", "12" + "8394c8f03e515708" + "01" + "aabbcc", "8394c8f03e515708"},
	// RFC 9001, appendix A.2: the client's first packet.
	{"version 1, initial", "c3" + "00000001" + "08" + "8394c8f03e515708" + "00" + "00449e7b9aec34", "8394c8f03e515708"},
	{"version 1, long ID", "c3" + "00000001" + "14" + "000102030405060708090a0b0c0d0e0f10111213" + "00", "0001020304050607"},
	{"version 1, short ID", "e3" + "00000001" + "04" + "01020304" + "00", "01020304"},
	{"version 2", "d3" + "6b3343cf" + "08" + "8394c8f03e515708" + "00", "8394c8f03e515708"},
	{"version to come", "80" + "1a2a3a4a" + "09" + "010203040506070809" + "00", "0102030405060708"},
	{"version 1, short header", "4c" + "8394c8f03e515708" + "b2", "8394c8f03e515708"},
	{"no ID", "c3" + "00000001" + "00" + "08" + "0102030405060708", ""},
	{"ID cut off", "c3" + "00000001" + "08" + "8394c8f03e5157", ""},
	{"ID longer than allowed", "c3" + "00000001" + "15" + "000102030405060708090a0b0c0d0e0f1011121314", ""},
	{"just long enough", "40" + "0102030405060708", "0102030405060708"},
	{"too short", "40" + "01020304050607", ""},
	{"empty", "", ""},
}

func TestQUICConnectionID(t *testing.T) {
	for _, c := range quicPackets {
		packet, err := hex.DecodeString(c.packet)
		if err != nil {
			t.Fatal(c.name, err)
		}
		if got := hex.EncodeToString(QUICConnectionID(packet)); got != c.id {
			t.Errorf("%s: ID %q, want %q", c.name, got, c.id)
		}
	}
}

// These decide where QUIC connections go on every node; they must not change.
func TestHashConnectionIDVectors(t *testing.T) {
	for _, c := range []struct {
		id   string
		want uint64
	}{
		{"8394c8f03e515708", 0x294deb2de344a6e1},
		{"0102030405060708", 0x8d1a42d2a1e6ea9d},
		{"01020304", 0x252de8facc511a32},
		{"", 0x6393d51c06c618dc},
	} {
		id, _ := hex.DecodeString(c.id)
		if got := HashConnectionID(id); got != c.want {
			t.Errorf("HashConnectionID(%s) = %#x, want %#x", c.id, got, c.want)
		}
	}
	if HashConnectionID([]byte{1, 2, 3, 4, 5, 6, 7, 8}) != HashConnectionID([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}) {
		t.Error("what lies beyond 8 bytes counts")
	}
	if HashConnectionID([]byte{1, 2}) == HashConnectionID([]byte{1, 2, 0}) {
		t.Error("the length does not count")
	}
}

func TestQUICAllocatesNothing(t *testing.T) {
	packet, _ := hex.DecodeString(quicPackets[2].packet)
	if n := testing.AllocsPerRun(100, func() { HashConnectionID(QUICConnectionID(packet)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzQUICConnectionID(f *testing.F) {
	for _, c := range quicPackets {
		packet, _ := hex.DecodeString(c.packet)
		f.Add(packet)
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		whole := bytes.Clone(packet)
		id := QUICConnectionID(packet)
		if len(id) > quicKeyBytes {
			t.Fatalf("an ID of %d bytes", len(id))
		}
		if id != nil && !bytes.Contains(packet, id) {
			t.Fatal("the ID is not part of the packet")
		}
		if !bytes.Equal(packet, whole) {
			t.Fatal("the packet was changed")
		}
		// What follows the header has no say.
		if len(packet) > 32 {
			if cut := QUICConnectionID(packet[:32]); !bytes.Equal(cut, id) {
				t.Fatalf("%x, and of the first bytes alone %x", id, cut)
			}
		}
		HashConnectionID(id)
	})
}
