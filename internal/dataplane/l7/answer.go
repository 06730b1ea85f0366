package l7

import (
	"github.com/openslb/openslb/internal/dataplane/l7/h1"
	"github.com/openslb/openslb/internal/dataplane/l7/policy"
)

// maxInterim bounds the 1xx answers before the final one.
const maxInterim = 20

// askOver sends the request over u and passes the answer on. It disposes of u.
func (c *conn) askOver(u *upstream, kept bool, plan *policy.Plan, up *upload) outcome {
	if c.toHTTP2 {
		return c.askHTTP2(u, kept, plan, up)
	}
	w := c.w
	u.taking.begin(plan.Timeout)
	if !u.rtimer.armTaking(plan.Timeout) {
		c.discard(u)
		return lost
	}
	var b *block
	var n int
	var err error
	if up == nil || up.complete() {
		b, n, err = u.request(w.out, most(&c.h.out))
	} else {
		b, n, err = c.askWithUpload(u, plan, up)
	}
	if b == nil && err == nil {
		switch u.step {
		case askStale, askFailed:
			c.discard(u)
			if kept {
				return stale
			}
			return unreachable
		case askPartly:
			// An error may hide an answer given early: look before giving up.
			if e := u.sendSlowly(w.out[u.sent:]); isTimeout(e) {
				err = e
			} else {
				b, n, err = u.recvBlock(most(&c.h.out))
			}
		}
	}
	if b != nil {
		return c.passAnswer(u, b, n, plan, up)
	}
	c.stopUpload(u, up)
	c.discard(u)
	switch {
	case up != nil && up.failed():
		return badUpload
	case c.cut.Load():
		return cutShort
	case isTimeout(err):
		return silent
	}
	return lost
}

// discard closes a server connection.
func (c *conn) discard(u *upstream) {
	c.current.Store(nil)
	if u.http2 != nil {
		u.http2.drop()
	}
	u.close()
}

// release keeps a server connection for later.
func (c *conn) release(u *upstream) {
	if u.http2 != nil && !c.parted(u) {
		c.discard(u)
		return
	}
	c.current.Store(nil)
	u.sharer = nil
	if !u.rtimer.disarm() || c.cut.Load() {
		u.close()
		return
	}
	u.asked = c.began
	c.h.e.kept.put(u, c.shard, c.h.e.wheel.now())
}

// asked is what the meaning of the answer depends on.
func (c *conn) asked() h1.Asked {
	return h1.Asked{Head: c.w.req.IsHead(c.w.in), WebSocket: c.w.req.WebSocket}
}

// readHead reads until w.resp is complete, passing on interim answers. The
// block holds n bytes from headRoom on; at is where the final head begins.
func (c *conn) readHead(u *upstream, b *block, n int, up *upload) (at, have int, result outcome) {
	w := c.w
	asked := c.asked()
	at, have = headRoom, n
	w.resp.Reset()
	for interim := 0; ; {
		done, err := w.resp.Parse(b[at:at+have], asked)
		switch {
		case err != nil:
			return at, have, invalid
		case done && !w.resp.Interim():
			return at, have, delivered
		case done:
			if interim++; interim > maxInterim {
				return at, have, invalid
			}
			if !c.passInterim(b[at:at+have], up) {
				return at, have, cutShort
			}
			at, have = at+w.resp.Len(), have-w.resp.Len()
			w.resp.Reset()
			continue
		}
		if at > headRoom && at+have > len(b)/2 {
			copy(b[headRoom:], b[at:at+have])
			at = headRoom
		}
		room := b[at+have : len(b)-tailRoom]
		if len(room) == 0 {
			return at, have, invalid
		}
		if c.stream != nil {
			room = room[:min(len(room), readAhead)]
		}
		more, err := u.recv(room)
		switch {
		case err == nil:
		case isTimeout(err):
			return at, have, silent
		case have > 0:
			return at, have, invalid
		default:
			return at, have, lost
		}
		have += more
	}
}

// passInterim passes a 1xx answer on, which w.resp has found in in. HTTP/1.0
// knows none. It is false when the client takes nothing any more.
func (c *conn) passInterim(in []byte, up *upload) bool {
	w := c.w
	if w.req.Minor > 0 {
		w.head = w.resp.AppendHead(w.head[:0], in, &h1.ResponseEdits{})
		if c.deliver(w.head) != nil {
			return false
		}
		w.rec.out -= int64(len(w.head)) // it is no part of the answer
		c.h.out.Take(len(w.head))
	}
	if up != nil && w.resp.Status == 100 {
		up.told.Store(true)
	}
	return true
}

// passAnswer passes the answer on whose first n bytes are in b. Once it returns
// lost, nothing of a final answer had come.
func (c *conn) passAnswer(u *upstream, b *block, n int, plan *policy.Plan, up *upload) outcome {
	w := c.w
	at, have, result := c.readHead(u, b, n, up)
	if result != delivered {
		putBlock(b)
		c.stopUpload(u, up)
		c.discard(u)
		switch {
		case up != nil && up.failed():
			return badUpload
		case result == lost: // after an interim answer: not to be repeated
			return invalid
		}
		return result
	}
	if w.resp.Status == 101 {
		u.taking.begin(0)
		return c.tunnel(u, b, at, have, plan)
	}
	return c.passHead(u, b, at, have, plan, up)
}

// passHead goes on with an answer whose head is in w.resp and, with have bytes in
// all, at b[at:].
func (c *conn) passHead(u *upstream, b *block, at, have int, plan *policy.Plan, up *upload) outcome {
	w := c.w
	resp := &w.resp
	r := relay{body: body{framing: resp.Body, left: resp.BodyLength}, c: c, u: u, timeout: plan.Timeout}
	uploaded := up == nil || up.settle()
	if uploaded {
		u.taking.begin(0)
	} else {
		up.talks.Store(true)
	}
	keep := c.mayKeep() && uploaded
	edits := h1.ResponseEdits{Lines: *c.h.e.stamp.Load()}
	coding := c.h.snap.Load().coding(resp, b[at:at+have], c.asked(), c.gzip)
	edits.Vary = coding != policy.Identity
	if coding == policy.Gzip && resp.Body != h1.NoBody {
		if zips := c.h.e.compressors; c.reserved || zips.reserve() {
			c.reserved = false
			r.zip = zips.take()
			defer r.zip.release()
			u.sharer = nil // what goes to the client is another body, and few are compressed
		} else {
			coding = policy.Varies
		}
	}
	edits.Gzip = coding == policy.Gzip
	w.mark = markSession(&edits, w.mark[:0], plan, resp.Status, u.member)
	chunks := w.req.Minor > 0
	if c.stream != nil {
		chunks = false // HTTP/2 has frames instead, and trailers in any case
		r.decoder.Keep, r.trailers = resp.Body == h1.Chunks, &c.stream.trailers
	}
	switch {
	case r.zip != nil:
		r.zipChunked = chunks
		keep = keep && chunks
		edits.Chunked = w.req.Minor > 0
	case resp.Body == h1.Chunks || resp.Body == h1.UntilClose:
		r.chunked = chunks
		keep = keep && chunks
		edits.Chunked = w.req.Minor > 0
	}
	edits.Close, edits.KeepAlive = !keep, keep && w.req.Minor == 0
	w.head = resp.AppendHead(w.head[:0], b[at:at+have], &edits)
	if !uploaded {
		c.linger = true
	}

	reusable := resp.Persistent && uploaded && w.req.Minor > 0
	err := r.start(b, at+resp.Len(), have-resp.Len(), w.head, reusable)
	c.stopUpload(u, up)
	if !r.released {
		c.discard(u)
	}
	if err == errFirst {
		return invalid
	}
	switch {
	case err == nil && keep:
		return delivered
	case err != nil && !edits.Chunked && (resp.Body != h1.Length || r.zip != nil):
		// The server broke off and the client would take the end of the
		// connection for that of the body. Chunks and lengths tell it anyway.
		c.broken = true
	}
	return cutShort
}
