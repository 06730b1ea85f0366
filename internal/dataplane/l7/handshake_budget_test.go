package l7

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// unfinishedHello is the first n bytes of a ClientHello of nearly 64 KB.
func unfinishedHello(n int) []byte {
	message := append([]byte{1, 0, 0xff, 0xf0, 3, 3}, make([]byte, n)...)
	var b []byte
	for len(b) < n {
		k := min(len(message), 16<<10)
		b = binary.BigEndian.AppendUint16(append(b, 0x16, 3, 1), uint16(k))
		b, message = append(b, message[:k]...), message[k:]
	}
	return b[:n]
}

// longHello is for a client whose first message has some n bytes.
func longHello(n int) *tls.Config {
	c := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}
	for range n / 201 {
		c.NextProtos = append(c.NextProtos, strings.Repeat("x", 200))
	}
	return c
}

// ended tells whether the proxy closes a connection on which there is nothing to
// be read.
func ended(c net.Conn, within time.Duration) bool {
	c.SetReadDeadline(time.Now().Add(within))
	_, err := c.Read(make([]byte, 1))
	return err != nil && !isTimeout(err)
}

// TestUnfinishedHandshakes: what clients send of handshakes and never complete is
// bounded in all, those beyond are ended and counted, and everyday clients come in
// meanwhile.
func TestUnfinishedHandshakes(t *testing.T) {
	p := newSecureProxy(t, spec.HTTPOptions{}, hello(t))
	greet := func(config *tls.Config) error {
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", p.Addr().String(), config)
		if err != nil {
			return err
		}
		defer conn.Close()
		io.WriteString(conn, simple)
		conn.SetDeadline(time.Now().Add(patience))
		_, err = conn.Read(make([]byte, 1))
		return err
	}
	if n := p.e.unfinished.most.Load(); n < 1<<20 {
		t.Errorf("%d bytes are all there is", n)
	}
	const sent, most = 40 << 10, 100 << 10
	p.e.unfinished.most.Store(most)
	if err := greet(longHello(30 << 10)); err != nil {
		t.Errorf("a long first message while there is room: %v", err)
	}
	eventually(t, "it is not counted any more", func() bool { return p.e.unfinished.used.Load() == 0 })
	const fit = most / (sent - handshakeFree)
	var holding []*net.TCPConn
	for range fit {
		c := p.dialPlain()
		c.Write(unfinishedHello(sent))
		holding = append(holding, c)
		eventually(t, "it is counted", func() bool {
			return p.e.unfinished.used.Load() == int64(len(holding)*(sent-handshakeFree))
		})
	}
	for range 5 {
		c := p.dialPlain()
		c.Write(unfinishedHello(sent))
		if !ended(c, patience) {
			t.Error("one too many may go on")
		}
	}
	if err := greet(longHello(30 << 10)); err == nil {
		t.Error("a long first message while there is no room")
	}
	eventually(t, "refusals", func() bool {
		f := p.Facts()
		return f.RefusedHandshakes == 6 && f.HandshakeFailures == 6 && f.ActiveConnections == fit
	})
	for range 5 {
		if err := greet(&tls.Config{InsecureSkipVerify: true}); err != nil {
			t.Errorf("an everyday client: %v", err)
		}
	}
	for _, c := range holding {
		if ended(c, time.Millisecond) {
			t.Error("one that was there before has been ended")
		}
		c.Close()
	}
	eventually(t, "nothing is held", func() bool { return p.e.unfinished.used.Load() == 0 })
	if err := greet(longHello(30 << 10)); err != nil {
		t.Errorf("a long first message when there is room again: %v", err)
	}
}

// TestHandshakeCost: counted bytes take no more memory than the budget assumes.
func TestHandshakeCost(t *testing.T) {
	if raceEnabled {
		return // takes more
	}
	const n, sent = 40, 63 << 10
	p := newSecureProxy(t, spec.HTTPOptions{})
	message := unfinishedHello(sent)
	p.dialPlain().Write(message[:100])
	eventually(t, "one is there", func() bool { return p.Facts().ActiveConnections == 1 })
	before := heldBytes()
	for range n {
		p.dialPlain().Write(bytes.Clone(message))
	}
	eventually(t, "all is received", func() bool { return p.e.unfinished.used.Load() == n*(sent-handshakeFree) })
	held := (heldBytes() - before) / n
	t.Logf("%d bytes for %d", held, sent)
	if most := int64(handshakeCost*(sent-handshakeFree) + 2*handshakeFree); held > most {
		t.Errorf("%d bytes are held for each, more than %d", held, most)
	}
}
