package policy

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// router finds the rule for a request, by the vendor's page on forwarding
// rules. The domain is decided first: exact before wildcard, the narrower
// wildcard before the wider. Within its rules the longest path that the
// request's begins with wins, without regard to where its segments end; then
// the rule without a path; else nobody answers. Rules without a domain are for
// requests whose host no rule names.
//
// A path is compared as it was sent, free of percent-encoding: dot segments are
// not resolved, as they are passed on too. The query has no part in it.
type router struct {
	exact names
	wild  names  // by what follows the "*."
	any   *paths // of the rules without a domain
	// longest is the length of the longest path: more of a request's path need
	// not be looked at.
	longest int
}

// names are domains with their rules.
type names struct {
	rules map[string]*paths
	// lengths has a bit for the length of every name: most names that are not
	// here are found out by it.
	lengths [4]uint64
}

func (n *names) of(name string) *paths {
	if n.rules == nil {
		n.rules = map[string]*paths{}
	}
	p := n.rules[name]
	if p == nil {
		p = new(paths)
		n.rules[name] = p
		n.lengths[uint8(len(name))>>6] |= 1 << (len(name) & 63)
	}
	return p
}

func (n *names) find(name []byte) *paths {
	if n.lengths[uint8(len(name))>>6]>>(len(name)&63)&1 == 0 {
		return nil
	}
	return n.rules[string(name)]
}

// paths are the rules of one domain.
type paths struct {
	list []path // in order of text
	root *target
}

type path struct {
	text string
	// parent is the index of the longest other path that text begins with, -1
	// when there is none.
	parent int
	to     *target
}

// maxHost is the longest host name of the domain name system.
const maxHost = 253

// newRouter prepares rules; to gives the target of the i-th.
func newRouter(rules []spec.Rule, to func(i int) *target) *router {
	r := &router{any: new(paths)}
	for i, rule := range rules {
		p := r.any
		domain := strings.TrimSuffix(strings.ToLower(rule.Domain), ".")
		if rest, ok := strings.CutPrefix(domain, "*."); ok {
			p = r.wild.of(rest)
		} else if domain != "" {
			p = r.exact.of(domain)
		}
		if rule.Path == "" {
			p.root = cmp.Or(p.root, to(i))
			continue
		}
		text := string(appendDecoded(nil, []byte(rule.Path), len(rule.Path)))
		p.list = append(p.list, path{text: text, to: to(i)})
		r.longest = max(r.longest, len(text))
	}
	for _, p := range r.exact.rules {
		p.prepare()
	}
	for _, p := range r.wild.rules {
		p.prepare()
	}
	r.any.prepare()
	return r
}

// prepare sorts the list and links each path to the one to try after it.
func (p *paths) prepare() {
	slices.SortStableFunc(p.list, func(a, b path) int { return strings.Compare(a.text, b.text) })
	// Two ways to write one path: the first rule has it.
	p.list = slices.CompactFunc(p.list, func(a, b path) bool { return a.text == b.text })
	for i := range p.list {
		j := i - 1
		for j >= 0 && !strings.HasPrefix(p.list[i].text, p.list[j].text) {
			j = p.list[j].parent
		}
		p.list[i].parent = j
	}
}

// find returns the target for a path, nil when there is none.
func (p *paths) find(text []byte) *target {
	// Every path that text begins with stands at or before text's own place, and
	// all of them begin what stands there.
	low, high := 0, len(p.list)
	for low < high {
		if mid := (low + high) / 2; p.list[mid].text <= string(text) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	for i := low - 1; i >= 0; i = p.list[i].parent {
		if t := p.list[i].text; len(t) <= len(text) && string(text[:len(t)]) == t {
			return p.list[i].to
		}
	}
	return p.root
}

// route finds the rule for a request. Without one, refused tells whether the
// request is refused or goes where the frontend's own go.
func (r *router) route(host, requested []byte) (t *target, refused bool) {
	p := r.domain(host)
	if p == nil {
		p = r.any
	}
	if len(p.list) == 0 {
		t = p.root
	} else if path, plain := r.path(requested); plain {
		t = p.find(path)
	} else {
		t = p.findDecoded(path, r.longest)
	}
	return t, t == nil && p != r.any
}

// domain returns the rules for a host, nil when no rule names it.
func (r *router) domain(host []byte) *paths {
	if r.exact.rules == nil && r.wild.rules == nil {
		return nil
	}
	host = withoutPort(host)
	if n := len(host); n > 0 && host[n-1] == '.' { // the root's dot
		host = host[:n-1]
	}
	if len(host) > maxHost {
		return nil
	}
	for _, c := range host {
		if 'A' <= c && c <= 'Z' {
			return r.domainFolded(host)
		}
	}
	return r.named(host)
}

// domainFolded is named for a host with upper-case letters. Nearly no client
// writes them, and the copy costs more than the search.
//
//go:noinline
func (r *router) domainFolded(host []byte) *paths {
	var store [maxHost]byte
	name := store[:len(host)]
	for i, c := range host {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		name[i] = c
	}
	return r.named(name)
}

// named returns the rules for a name in lower case.
func (r *router) named(name []byte) *paths {
	if p := r.exact.find(name); p != nil || r.wild.rules == nil {
		return p
	}
	for i := 1; i < len(name); i++ { // from the narrowest on; a label is not empty
		if name[i] == '.' {
			if p := r.wild.find(name[i+1:]); p != nil {
				return p
			}
		}
	}
	return nil
}

// path returns as much as matters of the path of a request target; plain, if
// nothing in it is percent-encoded.
func (r *router) path(requested []byte) (path []byte, plain bool) {
	if len(requested) == 0 || requested[0] == '?' {
		return slash, true // of an absolute target without one
	}
	path = requested[:min(len(requested), 3*r.longest)]
	if i := bytes.IndexByte(path, '?'); i >= 0 {
		path = path[:i]
	}
	start := path[:min(len(path), r.longest)]
	if bytes.IndexByte(start, '%') < 0 {
		return start, true
	}
	return path, false
}

var slash = []byte("/")

// findDecoded is find for an encoded path.
//
//go:noinline
func (p *paths) findDecoded(path []byte, longest int) *target {
	var store [256]byte
	return p.find(appendDecoded(store[:0], path, longest))
}

// appendDecoded appends up to limit bytes of a path without its
// percent-encoding. What is not well encoded stays as it is.
func appendDecoded(dst, text []byte, limit int) []byte {
	for i := 0; i < len(text) && limit > 0; limit-- {
		c := text[i]
		if c == '%' && i+2 < len(text) {
			high, low := unhex(text[i+1]), unhex(text[i+2])
			if high >= 0 && low >= 0 {
				c = byte(high<<4 | low)
				i += 2
			}
		}
		dst = append(dst, c)
		i++
	}
	return dst
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
