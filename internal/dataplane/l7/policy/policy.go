// Package policy decides what becomes of a request: who answers it, which pool
// it goes to, which headers change. The decision is a pure function of an
// immutable snapshot and a view of the request, and is the same for every
// version of HTTP: nothing here knows a protocol's syntax or a socket.
package policy

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// View is what a decision may look at. The slices belong to the driver and are
// only valid during Decide.
type View struct {
	Method []byte
	Host   []byte // with its port, if the client gave one
	Target []byte // origin form; may be empty or begin with "?" for an absolute one
	Peer   netip.AddrPort
	// PeerKey is balance.HashSource of Peer, worked out once per connection.
	PeerKey uint64
	// Hops is how many load balancers of ours the request has been through.
	Hops   int
	Cookie []byte // the value of the Cookie header
	Now    int64  // Unix time; for snapshots with Sessions
}

// MaxCuts is how many cookies of a request are freed of marks. Few sites have had
// more in their time.
const MaxCuts = 4

// Action is who answers.
type Action uint8

// The actions.
const (
	Forward  Action = iota // a server of Plan.Pool
	Redirect               // we, by Plan.Status and Plan.RedirectPort
	Refuse                 // we, by Plan.Status
)

// Plan is what to do with one request.
type Plan struct {
	Action Action
	Status int // of Redirect and Refuse

	// For Forward.

	Rule    string // ID of the rule that the request is for; empty: none
	Pool    *pool.Pool
	Key     uint64 // for Pool.Pick
	Timeout time.Duration
	Headers *Headers
	// Member is the server that the session is on and that may have traffic; nil
	// if there is none. Pick takes it into account.
	Member *pool.Member
	// Cuts are the bytes of View.Cookie that are not for the server, from first to last;
	// those that are not needed are zero.
	Cuts [MaxCuts][2]int

	sticky *sticky // nil: sessions are not kept
	now    int64   // View.Now
	renew  bool    // the client's cookie is absent, of no use, or getting old

	// RedirectPort is the port of the HTTPS address to send the client to.
	RedirectPort uint16
}

// Header is a set of the headers that the load balancer vouches for.
type Header uint8

// The headers.
const (
	SLBIP Header = 1 << iota
	SLBID
	ForwardedProto
	ForwardedPort
	ForwardedSrcPort
)

// Headers are the changes to a request's headers that all requests of a
// snapshot share.
type Headers struct {
	// Own are headers that the client cannot give: its own are dropped.
	Own Header
	// ForwardedFor: append the peer to X-Forwarded-For. When false the client's
	// header is left alone.
	ForwardedFor bool
	// SrcPort: tell the peer's port.
	SrcPort bool
	// Lines are the constant header lines, each with its CRLF.
	Lines []byte
	// ClientCert, if any of it is set, has headers about the client's certificate
	// sent. The client cannot give those of OwnNames, in lower case.
	ClientCert spec.ClientCertHeaders
	OwnNames   []string
}

// maxHops ends a request that keeps coming back to us, as one does when a
// server of a pool is the balancer's own address. Some levels of balancers in
// front of each other are honest.
const maxHops = 10

// Snapshot is a frontend's settings ready for deciding. It is immutable.
type Snapshot struct {
	Frontend spec.Frontend

	own    target  // where requests go that no rule is for
	router *router // nil: no rules
	// sessions: some target keeps sessions on their servers.
	sessions bool
	options  spec.HTTPOptions
	headers  Headers
	// redirect is the plan for every request of a redirecting frontend.
	redirect *Plan
}

// target is where requests may go.
type target struct {
	rule   string     // its ID; empty: the frontend's own
	pool   *pool.Pool // nil: nowhere
	sticky *sticky    // nil: sessions are not kept
}

// NewSnapshot prepares a frontend. Session cookies are made with the secret. p may
// be nil for a redirect; rules are the pools of its rules, in their order.
func NewSnapshot(secret []byte, f spec.Frontend, p *pool.Pool, rules ...*pool.Pool) *Snapshot {
	s := &Snapshot{Frontend: f}
	if f.HTTP != nil {
		s.options = *f.HTTP
	}
	key := instanceKey(secret, f.ID)
	to := func(p *pool.Pool, o *spec.Sticky) target {
		s.sessions = s.sessions || o != nil && o.Mode != spec.StickyOff
		return target{pool: p, sticky: newSticky(o, p, key)}
	}
	s.own = to(p, s.options.Sticky)
	if len(s.options.Rules) > 0 {
		s.router = newRouter(s.options.Rules, func(i int) *target {
			if i >= len(rules) {
				return &target{}
			}
			t := to(rules[i], s.options.Rules[i].Sticky)
			t.rule = s.options.Rules[i].ID
			return &t
		})
	}
	if s.options.IdleTimeout <= 0 {
		s.options.IdleTimeout = 15 * time.Second
	}
	if s.options.RequestTimeout <= 0 {
		s.options.RequestTimeout = 60 * time.Second
	}
	if r := s.options.Redirect; r != nil {
		plan := Plan{Action: Redirect, Status: r.Code, RedirectPort: r.Port}
		if plan.Status == 0 {
			plan.Status = 301
		}
		if plan.RedirectPort == 0 {
			plan.RedirectPort = 443
		}
		s.redirect = &plan
	}
	s.headers = s.makeHeaders()
	return s
}

// makeHeaders turns the switches into lines. The names, and that a switched-on
// header replaces the client's: behaviour of the vendor's listener headers.
func (s *Snapshot) makeHeaders() Headers {
	o := &s.options
	h := Headers{ForwardedFor: o.XForwardedFor, SrcPort: o.ClientSrcPort}
	set := func(on bool, which Header, name, value string) {
		if on {
			h.Own |= which
			h.Lines = append(h.Lines, name+": "+value+"\r\n"...)
		}
	}
	f := &s.Frontend
	set(o.SLBIP, SLBIP, "SLB-IP", f.Listen.Addr().String())
	set(o.SLBID, SLBID, "SLB-ID", f.ID.Instance)
	set(o.Proto, ForwardedProto, "X-Forwarded-Proto", string(f.ID.Protocol))
	set(o.Port, ForwardedPort, "X-Forwarded-Port", strconv.Itoa(int(f.ID.Port)))
	if o.ClientSrcPort {
		h.Own |= ForwardedSrcPort
	}
	h.ClientCert = o.ClientCert
	if o.ClientCert == (spec.ClientCertHeaders{}) {
		return h
	}
	// The usual names are ours then even where we send others, or not all of them: a
	// server must not take from the client what it looks for out of habit.
	for _, c := range []*spec.ClientCertHeaders{&o.ClientCert, &spec.UsualClientCertHeaders} {
		for _, name := range []string{c.Subject, c.Issuer, c.Fingerprint, c.Verify} {
			name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
			if name != "" && !slices.Contains(h.OwnNames, name) {
				h.OwnNames = append(h.OwnNames, name)
			}
		}
	}
	return h
}

// IdleTimeout is how long a client connection may wait between requests.
func (s *Snapshot) IdleTimeout() time.Duration { return s.options.IdleTimeout }

// RequestTimeout is how long either side may be silent within a request.
func (s *Snapshot) RequestTimeout() time.Duration { return s.options.RequestTimeout }

// Sessions tells whether decisions depend on the time.
func (s *Snapshot) Sessions() bool { return s.sessions }

// Headers are the header changes of this snapshot.
func (s *Snapshot) Headers() *Headers { return &s.headers }

// Decide says what to do with a request. It allocates nothing.
func (s *Snapshot) Decide(v *View) Plan {
	if s.redirect != nil {
		return *s.redirect
	}
	if v.Hops >= maxHops {
		return Plan{Action: Refuse, Status: 500} // the vendor's answer to a loop
	}
	to := &s.own
	if s.router != nil {
		t, refused := s.router.route(v.Host, v.Target)
		if refused {
			return Plan{Action: Refuse, Status: 404}
		}
		to = cmp.Or(t, to)
	}
	if to.pool == nil {
		return Plan{Action: Refuse, Status: 503}
	}
	plan := Plan{
		Action:  Forward,
		Rule:    to.rule,
		Pool:    to.pool,
		Key:     v.PeerKey,
		Timeout: s.options.RequestTimeout,
		Headers: &s.headers,
	}
	if to.sticky != nil {
		to.sticky.read(&plan, v.Cookie, v.Now)
	}
	return plan
}

// AppendLocation appends where a redirect leads: the same host and target on
// the HTTPS port, which is left out when it is the default.
func AppendLocation(dst []byte, v *View, port uint16) []byte {
	dst = append(dst, "https://"...)
	dst = append(dst, withoutPort(v.Host)...)
	if port != 443 {
		dst = append(dst, ':')
		dst = strconv.AppendUint(dst, uint64(port), 10)
	}
	if len(v.Target) == 0 || v.Target[0] != '/' {
		dst = append(dst, '/')
	}
	if len(v.Target) == 1 && v.Target[0] == '*' {
		return dst
	}
	return append(dst, v.Target...)
}

// withoutPort cuts the port off a well-formed host.
func withoutPort(host []byte) []byte {
	for i := len(host) - 1; i >= 0; i-- {
		switch host[i] {
		case ':':
			return host[:i]
		case ']':
			return host
		}
	}
	return host
}
