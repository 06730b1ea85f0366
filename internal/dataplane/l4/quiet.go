package l4

import "github.com/openslb/openslb/internal/dataplane/sock"

// Keep-alive probes of a client or a server count as use of the connection, as
// they do where packets are forwarded rather than streams: many an application
// holds connections open by them alone. Here the kernel answers a probe, and all
// that shows of it is the number of segments that came in. That is read in the
// middle of a quiet time and at its end. We send no probes of our own, whose
// answers would count too; what is dead ends by being idle.

// quiet is what is known of a connection since data last passed.
type quiet struct {
	since int64 // conn.used when the count below was taken
	heard uint64
}

// heard counts the segments that both sides have sent, in one number.
func (c *conn) heard() uint64 {
	return uint64(sock.SegmentsIn(int(c.client.fd)))<<32 | uint64(sock.SegmentsIn(int(c.server.fd)))
}

// idle is how long to wait until the connection is to be looked at again; 0: it
// has been without a sign of life for as long as it may. What waits for a side
// that does not read is no life, whatever that side's kernel says.
func (c *conn) idle(now int64) int64 {
	half, end := c.used+c.settings.idle/2, c.used+c.settings.idle
	switch {
	case now < half:
		return half - now
	case c.client.held() || c.server.held():
		return end - now
	case c.quiet.since != c.used:
		c.quiet = quiet{c.used, c.heard()}
		return max(end-now, c.settings.idle/2)
	case now < end:
		return end - now
	case c.quiet.heard == c.heard():
		return 0
	}
	c.used = now
	return c.settings.idle / 2
}
