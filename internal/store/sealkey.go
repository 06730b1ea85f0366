package store

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// LoadOrCreateKey reads the seal key in the file at path, or makes one. The
// file is made whole or not at all, with mode 0600; of several processes that
// make it at once all get the same key. A file that others may read is refused.
func LoadOrCreateKey(path string) ([]byte, error) {
	for {
		info, err := os.Stat(path)
		switch {
		case err == nil && info.IsDir():
			return nil, errors.New("the seal key is a file; this is a directory")
		case err == nil && info.Mode().Perm()&0o077 != 0:
			return nil, fmt.Errorf("the seal key can be read by others (mode %04o); set it to 0600", info.Mode().Perm())
		case err == nil:
			return LoadKey(path)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("seal key: %w", err)
		}
		if err := createKey(path); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("create seal key %s: %w", path, err)
		}
	}
}

// LoadKey reads the key in a file that the operator provides, whatever its mode.
func LoadKey(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("seal key: %w", err)
	}
	key, err := ParseKey(string(text))
	if err != nil {
		return nil, fmt.Errorf("no seal key: %w", err)
	}
	return key, nil
}

// ParseKey reads a key from text, for example from the environment: 32 bytes in
// hexadecimal or base64, with white space around them.
func ParseKey(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	for _, decode := range []func(string) ([]byte, error){
		hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
	} {
		if key, err := decode(text); err == nil && len(key) == sealKeySize {
			return key, nil
		}
	}
	return nil, fmt.Errorf("want %d bytes in hexadecimal or base64", sealKeySize)
}

// createKey writes a new key beside path and links it into place, which unlike
// a rename fails when another process was first.
func createKey(path string) error {
	key := make([]byte, sealKeySize)
	rand.Read(key) // ends the program rather than fail
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".sealkey-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(hex.EncodeToString(key) + "\n")
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
