package h2

import (
	"golang.org/x/net/http2"
)

// frame handles one frame.
func (c *Conn) frame(f http2.Frame) error {
	switch f := f.(type) {
	case *http2.DataFrame:
		return c.data(&f.FrameHeader, f.Data())
	case *http2.HeadersFrame:
		return c.headers(f)
	case *http2.ContinuationFrame:
		if len(f.HeaderBlockFragment()) < 64 {
			if err := c.charge(); err != nil {
				return err
			}
		}
		return c.fragment(f.HeaderBlockFragment(), f.HeadersEnded())
	case *http2.WindowUpdateFrame:
		return c.windowUpdate(f)
	case *http2.RSTStreamFrame:
		return c.rstStream(f)
	case *http2.SettingsFrame:
		return c.settings(f)
	case *http2.PingFrame:
		return c.ping(f)
	case *http2.GoAwayFrame:
		c.peerGone = true
		return c.charge()
	case *http2.PushPromiseFrame:
		return c.fail(http2.ErrCodeProtocol, "PUSH_PROMISE")
	case *http2.PriorityFrame:
		return c.priority(f)
	}
	return c.charge() // an extension
}

// priority is not obeyed, as RFC 9113 5.3 allows, but must make sense.
func (c *Conn) priority(f *http2.PriorityFrame) error {
	if f.StreamDep == f.StreamID {
		if s := c.table.find(f.StreamID); s != nil {
			return c.ruin(s, http2.ErrCodeProtocol)
		}
		c.writeReset(f.StreamID, http2.ErrCodeProtocol)
	}
	return c.charge()
}

// idle tells whether a stream has not been opened yet.
func (c *Conn) idle(id uint32) bool { return id > c.lastID || id&1 == 0 }

// forgets tells whether frames for a stream that is over are to be passed over,
// because they may have been sent before the other side knew.
func (c *Conn) forgets(id uint32) bool {
	for _, n := range c.ended {
		if n == id {
			return true
		}
	}
	return c.leaving == final && id > c.finalID
}

// data takes a DATA frame with p inside of its padding.
func (c *Conn) data(f *http2.FrameHeader, p []byte) error {
	size, ended := int64(f.Length), f.Flags.Has(http2.FlagDataEndStream) // padding counts
	if c.idle(f.StreamID) {
		return c.fail(http2.ErrCodeProtocol, "DATA on an idle stream")
	}
	if size > c.recvWindow {
		return c.fail(http2.ErrCodeFlowControl, "more than the connection's window")
	}
	c.recvWindow -= size
	s := c.table.find(f.StreamID)
	if s == nil || s.recvEnd {
		c.giveBack(int(size))
		if s == nil && c.forgets(f.StreamID) {
			return c.charge()
		}
		if s != nil {
			return c.ruin(s, http2.ErrCodeStreamClosed)
		}
		c.writeReset(f.StreamID, http2.ErrCodeStreamClosed)
		return c.charge()
	}
	if size > s.recvWindow {
		c.giveBack(int(size))
		return c.ruin(s, http2.ErrCodeFlowControl)
	}
	if c.client && !s.headed {
		return c.ruin(s, http2.ErrCodeProtocol)
	}
	s.recvWindow -= size
	s.unread += int(size)
	c.Consumed(s, int(size)-len(p))
	if s.length >= 0 {
		if s.length -= int64(len(p)); s.length < 0 || s.length > 0 && ended {
			return c.ruin(s, http2.ErrCodeProtocol)
		}
	}
	if len(p) > 0 {
		c.ev.Data(s, p)
	} else if !ended {
		return c.charge()
	}
	if ended {
		c.endReceiving(s, nil)
	}
	return nil
}

// endReceiving notes that the other side has said all.
func (c *Conn) endReceiving(s *Stream, trailers []byte) {
	s.recvEnd = true
	if s.sendEnd {
		c.close(s)
	}
	c.ev.End(s, trailers)
}

// close takes a stream off the table. What was not consumed of its body does
// not hold up others.
func (c *Conn) close(s *Stream) {
	if s.gone {
		return
	}
	c.table.remove(s)
	c.Unreserve(s)
	if s.unread > 0 && s.dead {
		c.giveBack(s.unread)
		s.unread = 0
	}
}

// giveBack lets the other side send n bytes more on the connection.
func (c *Conn) giveBack(n int) {
	c.recvOwed += n
	if c.recvOwed >= connWindow/4 {
		c.widen(0, int64(c.recvOwed))
		c.recvWindow += int64(c.recvOwed)
		c.recvOwed = 0
	}
}

// Consumed says that n bytes of a stream's body have been dealt with.
func (c *Conn) Consumed(s *Stream, n int) {
	if n <= 0 || s.dead || c.err != nil { // given back at once when it died
		return
	}
	s.unread -= n
	c.giveBack(n)
	if s.recvEnd || s.gone {
		return
	}
	if owed := streamWindow - int64(s.unread) - s.recvWindow; owed >= streamWindow/4 {
		c.widen(s.id, owed)
		s.recvWindow += owed
	}
}

func (c *Conn) windowUpdate(f *http2.WindowUpdateFrame) error {
	n := int64(f.Increment)
	if err := c.charge(); err != nil {
		return err
	}
	if f.StreamID == 0 {
		if c.sendWindow += n; c.sendWindow > maxWindow {
			return c.fail(http2.ErrCodeFlowControl, "window too large")
		}
		c.ev.Window(nil)
		return nil
	}
	if c.idle(f.StreamID) {
		return c.fail(http2.ErrCodeProtocol, "WINDOW_UPDATE on an idle stream")
	}
	s := c.table.find(f.StreamID)
	if s == nil {
		return nil
	}
	if s.sendWindow += n; s.sendWindow > maxWindow {
		return c.ruin(s, http2.ErrCodeFlowControl)
	}
	c.ev.Window(s)
	return nil
}

// maxWindow is the largest window there may be.
const maxWindow = 1<<31 - 1

func (c *Conn) rstStream(f *http2.RSTStreamFrame) error {
	if c.idle(f.StreamID) {
		return c.fail(http2.ErrCodeProtocol, "RST_STREAM on an idle stream")
	}
	s := c.table.find(f.StreamID)
	if s == nil {
		return c.charge()
	}
	c.kill(s, f.ErrCode)
	return c.chargeReset()
}

// kill ends a stream without a word to the other side.
func (c *Conn) kill(s *Stream, code http2.ErrCode) {
	s.dead = true
	c.close(s)
	s.zombie = true
	c.zombies++
	c.ev.Reset(s, code)
}

// ruin ends a stream for a fault of the other side.
func (c *Conn) ruin(s *Stream, code http2.ErrCode) error {
	c.writeReset(s.id, code)
	c.remember(s.id)
	c.kill(s, code)
	return c.chargeReset()
}

// remember keeps the number of a stream that we ended.
func (c *Conn) remember(id uint32) {
	c.ended[c.endedNext%forgotten] = id
	c.endedNext++
}

func (c *Conn) settings(f *http2.SettingsFrame) error {
	if err := c.charge(); err != nil {
		return err
	}
	if f.IsAck() {
		if !c.settled {
			return c.fail(http2.ErrCodeProtocol, "the first SETTINGS frame is an acknowledgement")
		}
		return nil
	}
	c.settled = true
	for i := range f.NumSettings() {
		s := f.Setting(i)
		if err := s.Valid(); err != nil {
			code := http2.ErrCodeProtocol
			if s.ID == http2.SettingInitialWindowSize {
				code = http2.ErrCodeFlowControl
			}
			return c.fail(code, "malformed SETTINGS")
		}
		switch s.ID {
		case http2.SettingHeaderTableSize:
			c.enc.SetMaxDynamicTableSizeLimit(min(s.Val, tableSize))
		case http2.SettingInitialWindowSize:
			if err := c.resize(int64(s.Val)); err != nil {
				return err
			}
		}
	}
	c.acknowledgeSettings()
	return nil
}

// resize changes the window of all streams (RFC 9113 6.9.2).
func (c *Conn) resize(first int64) error {
	change := first - c.sendFirst
	c.sendFirst = first
	for _, s := range c.table.streams {
		if s.sendWindow += change; s.sendWindow > maxWindow {
			return c.fail(http2.ErrCodeFlowControl, "window too large")
		}
		if change > 0 {
			c.ev.Window(s)
		}
	}
	return nil
}

var leavingPing = [8]byte{'l', 'e', 'a', 'v', 'i', 'n', 'g'}

func (c *Conn) ping(f *http2.PingFrame) error {
	if f.IsAck() {
		if c.leaving == announced && f.Data == leavingPing {
			c.LeaveNow()
		}
		return c.charge()
	}
	c.writePing(true, f.Data)
	return c.charge()
}

// Leave begins a graceful end: the client is told that it should go elsewhere.
// Requests that it has sent before it knows are still answered (RFC 9113 6.8).
func (c *Conn) Leave() {
	if c.leaving != staying || c.err != nil {
		return
	}
	c.leaving = announced
	c.writeGoAway(1<<31-1, http2.ErrCodeNo, "")
	c.writePing(false, leavingPing)
}

// LeaveNow goes on with a graceful end: no further request is answered.
func (c *Conn) LeaveNow() {
	if c.leaving == final || c.err != nil {
		return
	}
	c.leaving, c.finalID = final, c.lastID
	c.writeGoAway(c.lastID, http2.ErrCodeNo, "")
}

// Left tells whether no further request is answered: once the streams have
// ended the connection can be closed.
func (c *Conn) Left() bool { return c.leaving == final || c.peerGone || c.err != nil }
