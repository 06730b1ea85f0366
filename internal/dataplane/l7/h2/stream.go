package h2

// Stream is one request and its answer. The zero value is ready to be given to
// a Conn by Events.New, once and again after Release.
type Stream struct {
	// Owner is the caller's.
	Owner any

	id         uint32
	sendWindow int64 // may be negative (RFC 9113 6.9.2)
	recvWindow int64
	unread     int   // bytes received that the caller has not consumed
	head       int   // bytes of it, that count for the connection
	reserved   int   // bytes that nobody else may send, see Conn.Reserve
	length     int64 // of the body that is still to come, -1: not known
	recvEnd    bool  // the other side has ended its direction
	sendEnd    bool  // we have ended ours
	headed     bool  // client: the final head has come
	toHead     bool  // client: of a HEAD request
	dead       bool  // reset by either side, or the connection is over
	gone       bool  // not in the table
	zombie     bool  // counted among those given up
}

// ID is the stream's number.
func (s *Stream) ID() uint32 { return s.id }

// Ended tells whether the other side has sent all it will.
func (s *Stream) Ended() bool { return s.recvEnd }

// Finished tells whether all has been said on our side.
func (s *Stream) Finished() bool { return s.sendEnd }

// Dead tells whether nothing can be said any more.
func (s *Stream) Dead() bool { return s.dead }

// CanSend is how much body the stream's own window lets pass.
func (s *Stream) CanSend() int64 { return s.sendWindow }

// table holds the open streams. There are few, and looking through their
// numbers side by side is quicker than a map.
type table struct {
	ids     []uint32
	streams []*Stream
}

func (t *table) find(id uint32) *Stream {
	for i, n := range t.ids {
		if n == id {
			return t.streams[i]
		}
	}
	return nil
}

func (t *table) add(s *Stream) {
	t.ids = append(t.ids, s.id)
	t.streams = append(t.streams, s)
}

func (t *table) remove(s *Stream) {
	s.gone = true
	for i, n := range t.ids {
		if n == s.id {
			last := len(t.ids) - 1
			t.ids[i], t.streams[i] = t.ids[last], t.streams[last]
			t.streams[last] = nil
			t.ids, t.streams = t.ids[:last], t.streams[:last]
			return
		}
	}
}
