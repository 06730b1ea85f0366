package h2

import "golang.org/x/net/http2"

// The frames that are written. Writing goes to memory and cannot fail.

func (c *Conn) writeSettings(settings ...http2.Setting) { _ = c.writing().WriteSettings(settings...) }
func (c *Conn) acknowledgeSettings()                    { _ = c.writing().WriteSettingsAck() }

func (c *Conn) writePing(ack bool, data [8]byte) { _ = c.writing().WritePing(ack, data) }

func (c *Conn) writeReset(id uint32, code http2.ErrCode) { _ = c.writing().WriteRSTStream(id, code) }

// widen gives the other side n bytes more, on the connection if id is 0.
func (c *Conn) widen(id uint32, n int64) { _ = c.writing().WriteWindowUpdate(id, uint32(n)) }

func (c *Conn) writeGoAway(last uint32, code http2.ErrCode, reason string) {
	_ = c.writing().WriteGoAway(last, code, []byte(reason))
}

func (c *Conn) writeData(id uint32, end bool, p []byte) { _ = c.writing().WriteData(id, end, p) }

// writeHead writes a compressed head in as many frames as it takes.
func (c *Conn) writeHead(id uint32, p []byte, end bool) {
	n := min(len(p), FrameSize)
	_ = c.writing().WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p[:n], EndStream: end, EndHeaders: n == len(p)})
	for p = p[n:]; len(p) > 0; p = p[n:] {
		n = min(len(p), FrameSize)
		_ = c.fr.WriteContinuation(id, n == len(p), p[:n])
	}
}
