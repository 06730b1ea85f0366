package l7

import (
	"crypto/tls"
	"errors"
	"io"
	"time"

	"github.com/openslb/openslb/internal/dataplane/l7/h1"
)

// handshakeTimeout is from accepting a connection to the end of its handshake.
const handshakeTimeout = 10 * time.Second

// errPlain is the vendor's answer to plain HTTP on the port of an HTTPS
// listener.
var errPlain = &h1.Error{Status: 400, Reason: "plain HTTP on an HTTPS port"}

// handshake makes the connection a secure one. It is false when the connection
// is over.
//
// Until it ends the connection counts as idle: there is no request that Close
// would have to wait for.
func (c *conn) handshake(config *tls.Config) bool {
	if !c.rtimer.armIdle(c.wheel.waits.handshake) || c.h.closing.Load() {
		return false
	}
	err := c.secureServer(config, c.h.e)
	if err == nil {
		return true
	}
	c.count.handshakeFailures.Add(1)
	var header tls.RecordHeaderError
	switch {
	case errors.As(err, &header) && header.Conn != nil && beginsHTTP(header.RecordHeader[:]):
		c.w, c.refusal = getWork(), errPlain
		c.refuse()
	case errors.Is(err, errHandshakeRefused):
		c.count.refusedHandshakes.Add(1)
	case isTimeout(err) || errors.Is(err, io.EOF):
	default:
		c.linger = true // the client should read why
	}
	c.h.e.log.Debug("TLS handshake failed", "frontend", c.h.id, "client", c.peer, "error", err)
	return false
}

// beginsHTTP tells whether bytes may be the start of a request: a method, and
// possibly what follows it.
func beginsHTTP(b []byte) bool {
	for i, c := range b {
		if c == ' ' {
			return i > 0
		}
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return true
}
