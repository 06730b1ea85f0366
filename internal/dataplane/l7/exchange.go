package l7

import (
	"github.com/openslb/openslb/internal/dataplane/l7/h1"
	"github.com/openslb/openslb/internal/dataplane/l7/policy"
	"github.com/openslb/openslb/internal/dataplane/loop"
	"github.com/openslb/openslb/internal/trace"
)

// exchange handles the request in the buffer. Its body is the bytes behind the
// head; up is the upload of what is still to come, nil when there is nothing.
// It is false when the connection is to be closed.
func (c *conn) exchange(up *upload, body int) bool {
	c.requests++
	c.beginRecord(c.w.req.Len() + body)
	going := c.handle(up, body)
	c.endRecord(up)
	return going
}

// handle is exchange without what is noted of it.
func (c *conn) handle(up *upload, body int) bool {
	w, s := c.w, c.h.snap.Load()
	req := &w.req
	c.began = w.rec.read
	if c.h.in.Limited() {
		c.awaitRequest(up, body)
	}
	if !c.h.admitRequest(c.count) {
		return c.answerLocally(&answer{status: 503}, up)
	}
	view := newView(req, w.in, c.peer, c.peerKey)
	plan := s.Decide(&view)
	c.gzip = s.offersGzip(req, w.in)
	if c.toHTTP2 = s.toHTTP2(); up != nil {
		c.toHTTP2 = up.raw
	}
	if plan.Action != policy.Forward {
		a := answer{status: plan.Status}
		if plan.Action == policy.Redirect {
			w.out = s.appendLocation(w.out[:0], &view, &plan)
			a.location = w.out
		}
		return c.answerLocally(&a, up)
	}

	s.editRequest(&w.edits, &plan, c.peerText, c.portText)
	if len(plan.Headers.OwnNames) > 0 {
		w.edits.MoreLines = c.front().certLines(plan.Headers)
	}
	w.outgoing.edit(&w.edits)
	w.out = req.AppendHead(w.out[:0], w.in, &w.edits)
	w.rec.forwards(&plan, len(w.out))
	if up != nil {
		w.out = append(w.out, up.first...)
		up.free() // the rest may take long
	} else if body > 0 {
		w.out = append(w.out, w.in[req.Len():req.Len()+body]...)
	}
	return c.forward(&plan, up)
}

// awaitRequest waits until what was read of a request may pass. What a loop read
// has passed already.
func (c *conn) awaitRequest(up *upload, body int) {
	n := c.w.req.Len() + body
	if up != nil {
		n += up.used
	}
	passed := min(n, c.taken)
	c.taken -= passed
	if n > passed {
		c.await(&c.h.in, n-passed)
	}
}

// answerLocally answers a request that goes to no server. A body that is still
// to come is not waited for.
func (c *conn) answerLocally(a *answer, up *upload) bool {
	req := &c.w.req
	a.head = req.IsHead(c.w.in)
	keep := c.mayKeep() && (up == nil || up.complete())
	a.close, a.keepAlive = !keep, keep && req.Minor == 0
	if !keep {
		c.linger = true
	}
	return c.answer(a) == nil && keep
}

// mayKeep tells whether the client connection may carry another request after
// the current one.
func (c *conn) mayKeep() bool {
	if !c.w.req.Persistent {
		return false
	}
	if c.requests >= maxRequests || c.h.ends() {
		c.linger = true // the client may have sent another request already
		return false
	}
	return true
}

// outcome of asking one server.
type outcome uint8

const (
	delivered   outcome = iota // an answer was sent, whole
	cutShort                   // the connection to the client must be closed
	unreachable                // nothing was sent to this server: another may try
	lost                       // the server ended the connection without a word
	silent                     // the server did not answer in time
	invalid                    // the answer cannot be understood
	badUpload                  // the client's body broke off or is malformed
)

// forward has a server answer. It is false when the client connection is to be
// closed.
func (c *conn) forward(plan *policy.Plan, up *upload) bool {
	m := plan.Pick()
	if m == nil {
		c.count.dropped.Add(1)
		status := 503
		if plan.Pool.HasWeight() {
			status = 502 // there are servers, and all are down
		}
		return c.answerLocally(&answer{status: status}, up)
	}
	for n := 0; ; {
		m.Acquire()
		result := c.ask(m, plan, up)
		m.Release()
		switch result {
		case delivered:
			return true
		case cutShort:
			return false
		case unreachable:
			c.w.tried[n] = m
			if n++; n < maxConnectTries && !c.cut.Load() {
				if m = plan.Pool.PickOther(plan.Key, c.w.tried[:n]); m != nil {
					continue
				}
			}
			return c.answerLocally(&answer{status: 502}, up)
		case silent:
			return c.answerLocally(&answer{status: 504}, up)
		case badUpload:
			return c.answerUpload(up)
		default:
			return c.answerLocally(&answer{status: 502}, up)
		}
	}
}

// ask sends the request to one server, over a kept connection if one is alive.
func (c *conn) ask(m *member, plan *policy.Plan, up *upload) outcome {
	since := int64(0)
	if !c.replayable(up) {
		since = c.began - int64(c.h.e.wheel.waits.sure)
	}
	for fresh := false; ; {
		c.noteTry(m)
		var u *upstream
		kept := false
		if !fresh && c.w.req.Minor > 0 {
			u = c.h.e.kept.take(m, c.shard, since)
			for u != nil && (u.http2 != nil) != c.toHTTP2 { // the listener's protocol has changed
				u.close()
				u = c.h.e.kept.take(m, c.shard, since)
			}
			kept = u != nil
		}
		if u == nil {
			var err error
			if u, err = c.h.dial(m); err != nil {
				return unreachable
			}
		}
		c.current.Store(u)
		u.sharer = c.stream
		result := c.askOver(u, kept, plan, up)
		switch {
		case result == stale:
			// Nothing was sent. The next kept one may be alive.
			c.w.rec.n--
		case result == lost && kept && c.replayable(up):
			fresh = true
		default:
			return result
		}
	}
}

// stale is an outcome that ask keeps to itself: the kept connection had ended.
const stale outcome = 255

// replayable tells whether a request that a kept connection swallowed may be
// sent again: doing it twice is as good as once, and there is no body.
func (c *conn) replayable(up *upload) bool {
	return up == nil && c.w.req.Body == h1.NoBody && c.w.req.Idempotent(c.w.in)
}

// beginRecord begins what is noted of a request. Of a body, length has what is at
// hand.
func (c *conn) beginRecord(length int) {
	w := c.w
	if w.began == 0 {
		w.began = loop.Clock()
	}
	w.rec.begin(w.began, max(w.began, w.read), int64(length))
	s := c.h.snap.Load()
	w.outgoing.own = false
	if t := c.h.e.options.Tracer; t != nil {
		w.outgoing.begin(t, s, &w.rec, &w.req, w.in, c.peer)
		if w.rec.span != nil && c.stream != nil {
			w.rec.span.Protocol = trace.Keep(w.rec.span.Protocol, http2Version)
		}
	}
	if s.log == nil {
		return
	}
	q := logged{}
	q.tlsVersion, q.cipher = c.front().agreed()
	describe(&q, &w.req, w.in)
	if c.stream != nil {
		q.protocol = http2Version
	}
	s.log.begin(&w.rec, c.peer, &q)
}

var http2Version = []byte("HTTP/2.0")

// front is the connection that the client has: for a request of HTTP/2 the one
// that its stream is on.
func (c *conn) front() *conn {
	if c.stream != nil {
		return c.stream.hc.c
	}
	return c
}

// agreed tells version and suite of TLS, by the names of the log; empty: without.
func (c *conn) agreed() (version, cipher string) {
	if c.tls == nil {
		return "", ""
	}
	names := c.names.Load()
	if names == nil { // the first time; streams may ask at once, and find the same
		state := c.tls.conn.ConnectionState()
		names = new([2]string)
		names[0], names[1] = tlsNames(state.Version, state.CipherSuite)
		c.names.Store(names)
	}
	return names[0], names[1]
}

// noteTry notes that the request goes to m.
func (c *conn) noteTry(m *member) {
	r := &c.w.rec
	now := r.read // which was a moment ago
	if r.n > 0 || r.replied > 0 {
		now = loop.Clock()
	}
	r.try(m.Addr(), now, c.w.out)
}

// endRecord ends what is noted of a request. A tunnel has ended it by itself.
func (c *conn) endRecord(up *upload) {
	w := c.w
	if w == nil {
		return
	}
	if up != nil {
		w.rec.length += int64(up.used) + up.received
		switch {
		case up.complete() && up.finished > 0:
			w.rec.read = up.finished
		case up.failed() && w.rec.replied > 0:
			w.rec.read = w.rec.replied // it was waited for until then
		}
	}
	if w.rec.wanted() {
		w.rec.finished(c.shard, loop.Clock())
	}
}
