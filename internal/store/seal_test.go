package store_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/openslb/openslb/internal/store"
)

func newSealer(t testing.TB, first byte) *store.Sealer {
	t.Helper()
	key := make([]byte, 32)
	key[0] = first
	s, err := store.NewSealer(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealer(t *testing.T) {
	s := newSealer(t, 1)
	for _, text := range []string{"", "secret", string(make([]byte, 10_000))} {
		sealed := s.Seal([]byte(text), []byte("who"))
		if again := s.Seal([]byte(text), []byte("who")); bytes.Equal(sealed, again) {
			t.Fatal("the same text is sealed alike twice")
		}
		if got, err := s.Open(sealed, []byte("who")); err != nil || string(got) != text {
			t.Fatalf("opened %q: %v", got, err)
		}
		if _, err := s.Open(sealed, []byte("other")); !errors.Is(err, store.ErrUnsealable) {
			t.Fatalf("in another context: %v", err)
		}
		if _, err := newSealer(t, 2).Open(sealed, []byte("who")); !errors.Is(err, store.ErrWrongKey) {
			t.Fatalf("with another key: %v", err)
		}
		for i := range min(len(sealed), 100) {
			bad := bytes.Clone(sealed)
			bad[i] ^= 1
			if _, err := s.Open(bad, []byte("who")); err == nil {
				t.Fatalf("byte %d is not protected", i)
			}
			if _, err := s.Open(sealed[:i], []byte("who")); err == nil && i < len(sealed) {
				t.Fatalf("opened when cut to %d bytes", i)
			}
		}
	}
	if _, err := store.NewSealer(make([]byte, 16)); err == nil {
		t.Fatal("a short key is taken")
	}
}

// Seals a text of format 1 for ever: the format may get a successor, but must
// stay readable.
func TestSealFormatIsStable(t *testing.T) {
	sealed, err := hex.DecodeString(sealedFormat1)
	if err != nil {
		t.Fatal(err)
	}
	got, err := newSealer(t, 1).Open(sealed, []byte("accesskey/testid"))
	if err != nil || string(got) != "testsecret" {
		t.Fatalf("opened %q: %v", got, err)
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seal.key")
	keys := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			key, err := store.LoadOrCreateKey(path)
			if err != nil {
				t.Error(err)
			}
			keys[i] = key
		})
	}
	wg.Wait()
	for _, key := range keys {
		if len(key) != 32 || !bytes.Equal(key, keys[0]) {
			t.Fatalf("keys differ: %x and %x", key, keys[0])
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Fatalf("files left: %v, %v", left, err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := store.LoadOrCreateKey(path); err == nil {
		t.Fatal("a key that others can read is taken")
	}
	if key, err := store.LoadKey(path); err != nil || !bytes.Equal(key, keys[0]) {
		t.Fatalf("the operator's file: %v", err)
	}
	if _, err := store.LoadOrCreateKey(filepath.Join(path, "none", "key")); err == nil {
		t.Fatal("no error without a directory")
	}
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.LoadOrCreateKey(path); err == nil {
		t.Fatal("a damaged key file is taken, or was replaced")
	}
}

func TestParseKey(t *testing.T) {
	key := bytes.Repeat([]byte{0xfb, 0xff}, 16)
	for _, text := range []string{
		hex.EncodeToString(key),
		" " + hex.EncodeToString(key) + "\n",
		base64.StdEncoding.EncodeToString(key),
		base64.RawURLEncoding.EncodeToString(key),
	} {
		if got, err := store.ParseKey(text); err != nil || !bytes.Equal(got, key) {
			t.Fatalf("%q: %x, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "00", hex.EncodeToString(key) + "00", "password"} {
		if _, err := store.ParseKey(text); err == nil {
			t.Fatalf("%q is taken", text)
		}
	}
}

const sealedFormat1 = "012da2ba6e062c7fa166d53e3993950c719ad27544e8d54aca" +
	"7e70015c25da28e3a6812b90c07cd45fc20c"
