package store

import (
	"bytes"
	"testing"
)

func TestDerive(t *testing.T) {
	derive := func(key byte, purpose string) []byte {
		s, err := NewSealer(bytes.Repeat([]byte{key}, sealKeySize))
		if err != nil {
			t.Fatal(err)
		}
		return s.Derive(purpose)
	}
	one := derive(1, "a")
	if len(one) != 32 || !bytes.Equal(one, derive(1, "a")) {
		t.Errorf("%x is not the same again", one)
	}
	for name, other := range map[string][]byte{"purpose": derive(1, "b"), "key": derive(2, "a")} {
		if bytes.Equal(one, other) {
			t.Errorf("another %s gives the same", name)
		}
	}
}
