package policy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// InsertedCookie is the cookie of mode insert. Source: the vendor's FAQ on
// session persistence.
const InsertedCookie = "SERVERID"

// A mark in a cookie names a server and the time of its making, in seconds:
//
//	tag 8 bytes | time 4 bytes | HMAC-SHA256 of both, cut to 12 bytes
//
// in base64, which makes 32 characters. The tag is a keyed hash of the server's
// ID and address, so that clients learn nothing of either.
const (
	tagSize  = 8
	markBody = tagSize + 4
	markSize = markBody + 12
	markText = markSize * 4 / 3
	// markEnd stands between the mark and the server's value.
	markEnd = '.'
)

type tag [tagSize]byte

// sticky keeps the sessions of one target on their servers.
type sticky struct {
	insert  bool
	name    string // of the cookie; empty: sessions are not kept any more
	marked  bool   // cookies of servers carry marks, or may still do so
	timeout int64  // seconds, for insert
	key     [sha256.Size]byte
	hashers sync.Pool // of *hasher
	pool    *pool.Pool
	table   atomic.Pointer[tagTable]
}

// tagTable are the tags of the members that may have traffic.
type tagTable struct {
	members []*pool.Member // what pool.Usable gave
	byTag   map[tag]*pool.Member
	tags    map[*pool.Member]tag
}

// instanceKey derives the key for the cookies of one instance. Clients send a
// cookie to all its listeners, whatever their ports: each has to know the marks of
// the others.
func instanceKey(secret []byte, id spec.FrontendID) (key [sha256.Size]byte) {
	h := hmac.New(sha256.New, secret)
	fmt.Fprintf(h, "session cookie\x00%s", id.Instance)
	h.Sum(key[:0])
	return key
}

// newSticky returns nil when sessions are not kept.
func newSticky(o *spec.Sticky, p *pool.Pool, key [sha256.Size]byte) *sticky {
	if o == nil || p == nil {
		return nil
	}
	s := &sticky{key: key, pool: p, marked: o.Cookie != ""}
	switch o.Mode {
	case spec.StickyInsert:
		s.insert, s.name, s.timeout = true, InsertedCookie, max(1, int64(o.Timeout/time.Second))
	case spec.StickyServer:
		s.name = o.Cookie
	}
	s.hashers.New = func() any { return &hasher{h: hmac.New(sha256.New, s.key[:])} }
	return s
}

// hasher is reused, so that a request allocates nothing.
type hasher struct {
	h   hash.Hash
	in  [markBody + 1]byte
	out [sha256.Size]byte
}

// sum hashes a text for a purpose.
func (s *sticky) sum(purpose byte, text []byte) (out [sha256.Size]byte) {
	h := s.hashers.Get().(*hasher)
	h.h.Reset()
	h.in[0] = purpose
	h.h.Write(h.in[:1])
	for len(text) > 0 { // by way of our array, so that text need not be on the heap
		n := copy(h.in[1:], text)
		h.h.Write(h.in[1 : 1+n])
		text = text[n:]
	}
	h.h.Sum(h.out[:0])
	out = h.out
	s.hashers.Put(h)
	return out
}

// The purposes of hashes.
const (
	forTag  = 't'
	forMark = 'm'
)

func (s *sticky) tagOf(m *pool.Member) (t tag) {
	sum := s.sum(forTag, []byte(m.ID()+"\x00"+m.String()))
	copy(t[:], sum[:])
	return t
}

// tags returns the table for the members as they are now.
func (s *sticky) tags() *tagTable {
	members := s.pool.Usable()
	t := s.table.Load()
	if t != nil && len(t.members) == len(members) && (len(members) == 0 || &t.members[0] == &members[0]) {
		return t
	}
	next := &tagTable{members: members, byTag: make(map[tag]*pool.Member, len(members)), tags: make(map[*pool.Member]tag, len(members))}
	for _, m := range members {
		var of tag
		var known bool
		if t != nil {
			of, known = t.tags[m]
		}
		if !known {
			of = s.tagOf(m)
		}
		next.byTag[of], next.tags[m] = m, of
	}
	s.table.Store(next)
	return next
}

// read finds the mark in a Cookie header and takes it into the plan.
func (s *sticky) read(p *Plan, cookies []byte, now int64) {
	if s.marked {
		s.unmark(p, cookies)
	}
	if s.name == "" {
		return
	}
	p.sticky, p.now, p.renew = s, now, true
	for from := 0; s.insert && from < len(cookies); {
		start, end, next := cookieValue(cookies, from, s.name)
		if start < 0 {
			return
		}
		from = next
		if s.readInserted(p, cookies[start:end], now) {
			return
		}
	}
}

// unmark takes the marks out of all cookies, whatever their names: clients still have
// those that were marked under former settings, or by another listener of the
// instance, and no application would know its cookie with a mark. The first one
// in the cookie that is marked now says where the session is.
func (s *sticky) unmark(p *Plan, cookies []byte) {
	n, found := 0, s.insert || s.name == ""
	for from := 0; n < len(p.Cuts); {
		name, start, end, next := nextCookie(cookies, from)
		if start < 0 {
			return
		}
		from = next
		start = behindQuote(cookies, start, end)
		value := cookies[start:end]
		if len(value) <= markText || value[markText] != markEnd {
			continue
		}
		mark, ours := s.decode(value[:markText])
		if !ours {
			continue
		}
		p.Cuts[n] = [2]int{start, start + markText + 1}
		n++
		if !found && string(name) == s.name {
			found = true
			p.Member = s.tags().byTag[tag(mark[:tagSize])]
		}
	}
}

// behindQuote is where the mark begins: within the quotes of a value, if it has
// some.
func behindQuote(cookies []byte, start, end int) int {
	if start < end && cookies[start] == '"' {
		return start + 1
	}
	return start
}

// decode reads a mark and tells whether it is one of ours.
func (s *sticky) decode(text []byte) (mark [markSize]byte, ours bool) {
	if n, err := marking.Decode(mark[:], text); err != nil || n != markSize {
		return mark, false
	}
	sum := s.sum(forMark, mark[:markBody])
	return mark, hmac.Equal(sum[:markSize-markBody], mark[markBody:])
}

// readInserted tells whether a value is one of ours. Then it may still be too old,
// or of a server that is not to be had.
func (s *sticky) readInserted(p *Plan, value []byte, now int64) bool {
	if len(value) != markText {
		return false
	}
	mark, ours := s.decode(value)
	if !ours {
		return false
	}
	age := now - int64(binary.BigEndian.Uint32(mark[tagSize:]))
	if age > s.timeout {
		return true
	}
	p.renew = age > 0 && age >= s.timeout/renewals
	p.Member = s.tags().byTag[tag(mark[:tagSize])]
	return true
}

// renewals is how often in its lifetime the cookie of a busy session is given
// anew: the timeout is for idle ones, but most answers carry no cookie.
const renewals = 10

var marking = base64.RawURLEncoding.Strict()

// appendMark appends the mark of a member.
func (s *sticky) appendMark(dst []byte, m *pool.Member, now int64) []byte {
	of, known := s.tags().tags[m]
	if !known {
		of = s.tagOf(m)
	}
	var mark [markSize]byte
	copy(mark[:], of[:])
	binary.BigEndian.PutUint32(mark[tagSize:], uint32(now))
	sum := s.sum(forMark, mark[:markBody])
	copy(mark[markBody:], sum[:])
	return marking.AppendEncode(dst, mark[:])
}

// Pick returns the server that the session is on, else one that the scheduler
// chooses; nil when there is none.
func (p *Plan) Pick() *pool.Member {
	if p.Member != nil && p.Member.Usable() {
		return p.Member
	}
	return p.Pool.Pick(p.Key)
}

// Mark is what an answer has to carry for the session to stay where it is.
type Mark struct {
	// Line is a header line to add, with its CRLF.
	Line []byte
	// Prefix is what to put in front of the value of Cookie where the server sets
	// it.
	Cookie string
	Prefix []byte
}

// AppendMark says what the answer of a server with the given status has to
// carry. It appends to dst what Mark refers to, and returns that for reuse.
func (p *Plan) AppendMark(dst []byte, status int, m *pool.Member) (Mark, []byte) {
	s := p.sticky
	switch {
	case s == nil:
		return Mark{}, dst
	case !s.insert:
		from := len(dst)
		dst = append(s.appendMark(dst, m, p.now), markEnd)
		return Mark{Cookie: s.name, Prefix: dst[from:]}, dst
	case status/100 == 4 || m == p.Member && !p.renew:
		// The vendor documents that 4xx answers get no cookie.
		return Mark{}, dst
	}
	from := len(dst)
	dst = append(dst, "Set-Cookie: "+InsertedCookie+"="...)
	dst = s.appendMark(dst, m, p.now)
	dst = append(dst, "; Path=/\r\n"...)
	return Mark{Line: dst[from:]}, dst
}
