package l7

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// sealer writes TLS 1.3 records by hand, which crypto/tls has no client for:
// RFC 8446, sections 5.2 and 7.
type sealer struct {
	t      testing.TB
	w      io.Writer
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	seq    uint64
}

func (s *sealer) expand(label string, n int) []byte {
	label = "tls13 " + label
	info := append(binary.BigEndian.AppendUint16(nil, uint16(n)), byte(len(label)))
	out, err := hkdf.Expand(sha256.New, s.secret, string(append(info, label...))+"\x00", n)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// rekey takes a secret into use.
func (s *sealer) rekey(secret []byte) {
	s.secret = secret
	block, err := aes.NewCipher(s.expand("key", 16))
	if err != nil {
		s.t.Fatal(err)
	}
	if s.aead, err = cipher.NewGCM(block); err != nil {
		s.t.Fatal(err)
	}
	s.iv, s.seq = s.expand("iv", 12), 0
}

// record sends one record of a type.
func (s *sealer) record(kind byte, content string) error {
	header := binary.BigEndian.AppendUint16([]byte{0x17, 3, 3}, uint16(len(content)+1+s.aead.Overhead()))
	nonce := bytes.Clone(s.iv)
	for i := range 8 {
		nonce[4+i] ^= byte(s.seq >> (56 - 8*i))
	}
	s.seq++
	_, err := s.w.Write(s.aead.Seal(header, nonce, append([]byte(content), kind), header))
	return err
}

const (
	tlsHandshake, tlsData = 22, 23
	keyUpdateAsking       = "\x18\x00\x00\x01\x01" // update, and do it too
)

func (s *sealer) update() error {
	err := s.record(tlsHandshake, keyUpdateAsking)
	s.rekey(s.expand("traffic upd", 32))
	return err
}

// byHand shakes hands and gives what writes in place of crypto/tls.
func byHand(t *testing.T, raw *net.TCPConn) (*tls.Conn, *sealer) {
	t.Helper()
	var log bytes.Buffer
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, KeyLogWriter: &log})
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	if suite := conn.ConnectionState().CipherSuite; suite != tls.TLS_AES_128_GCM_SHA256 {
		t.Fatalf("suite %s: this test knows one only, which every machine with AES in hardware prefers", tls.CipherSuiteName(suite))
	}
	_, line, _ := strings.Cut(log.String(), "CLIENT_TRAFFIC_SECRET_0 ")
	secret, err := hex.DecodeString(strings.Fields(line)[1])
	if err != nil {
		t.Fatal(err)
	}
	s := &sealer{t: t, w: raw}
	s.rekey(secret)
	return conn, s
}

// TestKeyUpdates: clients may change keys and have ours changed, between requests
// and within them, as long as they do something else as well.
func TestKeyUpdates(t *testing.T) {
	b := answering(t, func(m *message) string { return ok(string(m.body)) })
	p := newSecureProxy(t, spec.HTTPOptions{}, target(b))
	t.Run("used", func(t *testing.T) {
		conn, s := byHand(t, p.dialPlain())
		c := &client{Conn: conn, t: t, br: bufio.NewReader(conn)}
		const request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabcdef"
		for i := range 30 {
			half := len(request) * i / 30
			for _, err := range []error{s.update(), s.record(tlsData, request[:half]), s.update(), s.record(tlsData, request[half:])} {
				if err != nil {
					t.Fatal(err)
				}
			}
			c.want(200, "abcdef")
		}
	})
	for name, attack := range map[string]func(s *sealer) error{
		"flood": func(s *sealer) error {
			for range 60 {
				if err := s.update(); err != nil {
					return nil // shown the door
				}
			}
			return nil
		},
		"empty records": func(s *sealer) error {
			for range 60 {
				if err := s.record(tlsData, ""); err != nil {
					return nil
				}
			}
			return nil
		},
		"unknown message":  func(s *sealer) error { return s.record(tlsHandshake, "\xfe\x00\x00\x00") },
		"malformed update": func(s *sealer) error { return s.record(tlsHandshake, "\x18\x00\x00\x01\x07") },
		"huge message":     func(s *sealer) error { return s.record(tlsHandshake, "\x18\xff\xff\xff\x01") },
		"half an update": func(s *sealer) error {
			return errors.Join(s.record(tlsHandshake, "\x18\x00"), s.record(tlsData, simple))
		},
		"client hello":       func(s *sealer) error { return s.record(tlsHandshake, "\x01\x00\x00\x01\x00") },
		"unknown type":       func(s *sealer) error { return s.record(99, "x") },
		"no type":            func(s *sealer) error { return s.record(0, "") },
		"record out of turn": func(s *sealer) error { s.seq++; return s.record(tlsData, simple) },
		"garbage": func(s *sealer) error {
			_, err := io.WriteString(s.w, "\x17\x03\x03\x00\x20"+strings.Repeat("x", 32))
			return err
		},
		"record too long": func(s *sealer) error {
			_, err := io.WriteString(s.w, "\x17\x03\x03\xff\xff"+strings.Repeat("x", 100))
			return err
		},
		"plain HTTP": func(s *sealer) error { _, err := io.WriteString(s.w, simple); return err },
	} {
		t.Run(name, func(t *testing.T) {
			conn, s := byHand(t, p.dialPlain())
			if err := attack(s); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(conn)
			if len(got) > 0 || err == nil || !strings.HasPrefix(err.Error(), "remote error: tls: ") {
				t.Errorf("got %q, %v, want an alert", got, err)
			}
		})
	}
	if n := len(b.seen()); n != 30 {
		t.Errorf("server saw %d requests", n)
	}
	eventually(t, "all ended", func() bool { return p.Facts().ActiveConnections <= 1 })
}
