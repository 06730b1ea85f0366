package l7

import (
	"net/netip"
	"time"

	"github.com/openslb/openslb/internal/dataplane/l7/h1"
	"github.com/openslb/openslb/internal/dataplane/l7/policy"
)

// What stands between the protocol core and the policy, for both drivers.

// newView shows a request to the policy.
func newView(req *h1.Request, in []byte, peer netip.AddrPort, key uint64) policy.View {
	return policy.View{Method: req.Method(in), Host: req.Host(in), Target: req.Target(in), Peer: peer, PeerKey: key, Hops: req.Hops, Cookie: req.Cookie(in)}
}

// Decide says what to do with a request.
func (s *snapshot) Decide(v *policy.View) policy.Plan {
	if s.Sessions() {
		v.Now = time.Now().Unix()
	}
	return s.Snapshot.Decide(v)
}

// markSession has the answer of a server carry what keeps the session there. It
// appends to scratch what the edits refer to.
func markSession(e *h1.ResponseEdits, scratch []byte, plan *policy.Plan, status int, m *member) []byte {
	mark, scratch := plan.AppendMark(scratch, status, m)
	e.SetCookie, e.MarkCookie, e.Mark = mark.Line, mark.Cookie, mark.Prefix
	return scratch
}

// appendLocation appends where a plan redirects to.
func (s *snapshot) appendLocation(dst []byte, view *policy.View, plan *policy.Plan) []byte {
	if len(view.Host) == 0 {
		view.Host = s.host
	}
	return policy.AppendLocation(dst, view, plan.RedirectPort)
}

// editRequest turns a plan into changes of a request's head. peer and port are
// those of the client, as text.
func (s *snapshot) editRequest(e *h1.RequestEdits, plan *policy.Plan, peer, port []byte) {
	*e = h1.RequestEdits{Drop: s.drop, Lines: plan.Headers.Lines, CountHops: true, CookieCuts: plan.Cuts, DropNames: plan.Headers.OwnNames}
	if plan.Headers.ForwardedFor {
		e.ForwardedFor = peer
	}
	if plan.Headers.SrcPort {
		e.SrcPort = port
	}
}

// offersGzip tells whether the client takes gzip, if that can matter.
func (s *snapshot) offersGzip(req *h1.Request, in []byte) bool {
	if !s.Compresses() {
		return false
	}
	var offer policy.Offer
	req.AcceptEncodings(in, offer.Add)
	return offer.Gzip()
}

// coding decides about the compression of a server's final answer, whose head
// is in buf.
func (s *snapshot) coding(resp *h1.Response, buf []byte, asked h1.Asked, offered bool) policy.Coding {
	if !s.Compresses() || resp.Body == h1.NoBody && !asked.Head {
		return policy.Identity
	}
	r := policy.Representation{Status: resp.Status, Length: resp.Announced()}
	for i := range resp.Fields {
		switch f := &resp.Fields[i]; f.ID {
		case h1.ContentType:
			r.Type = f.Text(buf)
		case h1.CacheControl:
			r.Fixed = r.Fixed || policy.NoTransform(f.Text(buf))
		case h1.ContentEncoding, h1.ContentRange, h1.Digest:
			r.Fixed = true
		}
	}
	return s.Coding(&r, offered)
}

// bodyAtHand tells how many bytes behind the head in in are the request's body,
// and writes nothing. It is -1 when the body is not there to the end, or is
// chunked and has to be decoded first.
func bodyAtHand(req *h1.Request, in []byte) int {
	switch req.Body {
	case h1.NoBody:
		return 0
	case h1.Length:
		if have := len(in) - req.Len(); int64(have) >= req.BodyLength {
			return int(req.BodyLength)
		}
	}
	return -1
}
