package spec

import "time"

// StickyMode is where the cookie of a sticky session comes from.
type StickyMode string

// The modes.
const (
	StickyInsert StickyMode = "insert" // we add it
	StickyServer StickyMode = "server" // the server sets it, and we mark it
	StickyOff    StickyMode = "off"    // sessions are not kept any more
)

// Sticky keeps a session on the server that has begun it.
type Sticky struct {
	Mode StickyMode
	// Timeout ends a session that has been idle so long; for StickyInsert. The
	// cookie of a server lasts as long as the server says.
	Timeout time.Duration
	// Cookie is the server's, for StickyServer. With the other modes it is one that was
	// marked before, or is by another frontend of the instance. Where there is one,
	// servers get cookies of whatever name without the marks. Empty: none was.
	Cookie string
}
