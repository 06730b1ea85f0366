package tlsconf

import (
	"crypto/tls"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// clock is moved by hand.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// TestSessions: a session is resumed within 300 s, over a change of certificate
// too, and not beyond, nor after a change that clients are judged by, nor on
// another frontend.
func TestSessions(t *testing.T) {
	ca := certify("ca", ecKey(), nil)
	alice := certify("alice", ecKey(), ca)
	server := certify("server", ecKey(), nil)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, c := range []struct {
			name  string
			after time.Duration
			other func(f *spec.Frontend)
			want  bool
		}{
			{"at once", 0, nil, true},
			{"after 4 minutes", 4 * time.Minute, nil, true},
			{"after 299 s", 299 * time.Second, nil, true},
			{"after 301 s", 301 * time.Second, nil, false},
			{"after an hour", time.Hour, nil, false},
			{"another certificate", 0, func(f *spec.Frontend) {
				f.TLS.Certificates[0] = certify("server", ecKey(), nil).Certificate
			}, true},
			{"more domains", 0, func(f *spec.Frontend) {
				f.TLS.Domains = []spec.DomainCertificate{{Domain: "a.b", Certificate: "server"}}
			}, true},
			{"other authorities", 0, func(f *spec.Frontend) { f.TLS.ClientCA += certify("x", ecKey(), nil).Chain }, false},
			{"another policy", 0, func(f *spec.Frontend) { f.TLS.CipherSuites = f.TLS.CipherSuites[1:] }, false},
			{"another frontend", 0, func(f *spec.Frontend) { f.ID.Port++ }, false},
		} {
			t.Run(tls.VersionName(version)+"/"+c.name, func(t *testing.T) {
				clock := &clock{}
				b := NewBuilder(Options{Unseal: unseal, Now: clock.now})
				build := func(change func(*spec.Frontend)) *tls.Config {
					o := options(server)
					o.ClientCA = ca.Chain
					f := frontend(o)
					if change != nil {
						change(&f)
					}
					cfg, err := b.Config(f)
					if err != nil {
						t.Fatal(err)
					}
					return cfg
				}
				client := anyClient(func(cfg *tls.Config) {
					cfg.MinVersion, cfg.MaxVersion = version, version
					cfg.ServerName = "a.example.com"
					cfg.ClientSessionCache = tls.NewLRUClientSessionCache(0)
					cfg.Certificates = []tls.Certificate{must(tls.X509KeyPair([]byte(alice.Chain), alice.key))}
				})
				if state, err := shake(t, build(nil), client); err != nil || state.DidResume {
					t.Fatal(err, state.DidResume)
				}
				clock.ahead.Store(int64(c.after))
				state, err := shake(t, build(c.other), client)
				if err != nil || state.DidResume != c.want {
					t.Errorf("resumed is %v, want %v; %v", state.DidResume, c.want, err)
				}
			})
		}
	}
}

// TestTicketKeys: a key seals for 300 s and opens for as long after, then it is
// gone; and whatever a stranger makes of a ticket is not resumed.
func TestTicketKeys(t *testing.T) {
	clock := &clock{}
	set := &tickets{now: clock.now}
	first, _, _ := set.keys()
	clock.ahead.Store(int64(299 * time.Second))
	if k, _, _ := set.keys(); k != first {
		t.Error("the key changed too early")
	}
	clock.ahead.Store(int64(301 * time.Second))
	second, previous, _ := set.keys()
	if second == first || previous != first {
		t.Error("the key did not change, or was forgotten at once")
	}
	clock.ahead.Store(int64(600 * time.Second))
	if _, previous, _ := set.keys(); previous != nil {
		t.Error("the first key is kept beyond all its tickets")
	}
	clock.ahead.Store(-int64(time.Hour))
	if k, _, _ := set.keys(); k == second {
		t.Error("a key from the future is used")
	}

	clock.ahead.Store(0)
	ticket, err := set.seal(&tls.SessionState{}, []byte("binding"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(ticket) {
		bad := append([]byte(nil), ticket...)
		bad[i] ^= 1
		if set.open(bad, []byte("binding")) != nil || set.open(ticket[:i], []byte("binding")) != nil {
			t.Fatalf("byte %d does not matter", i)
		}
	}
	if set.open(ticket, []byte("other")) != nil || set.open(nil, nil) != nil {
		t.Error("the binding does not matter")
	}
}

// TestSessionsOfTheProcessBefore: with its keys, sessions that began there are
// resumed here, and end when they would have ended.
func TestSessionsOfTheProcessBefore(t *testing.T) {
	server := certify("server", ecKey(), nil)
	for _, c := range []struct {
		name  string
		after time.Duration
		keys  func([]TicketKey) []TicketKey
		want  bool
	}{
		{"all keys", 0, func(k []TicketKey) []TicketKey { return k }, true},
		{"a key before the last", 0, func(k []TicketKey) []TicketKey {
			fresh := NewBuilder(Options{Unseal: unseal})
			if _, _, err := fresh.tickets.keys(); err != nil {
				t.Fatal(err)
			}
			return append(fresh.TicketKeys(), k...)
		}, true},
		{"too late", 301 * time.Second, func(k []TicketKey) []TicketKey { return k }, false},
		{"no keys", 0, func([]TicketKey) []TicketKey { return nil }, false},
		{"a stump", 0, func(k []TicketKey) []TicketKey { return []TicketKey{{k[0].Secret[:35], k[0].Made}} }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock := &clock{}
			before, after := NewBuilder(Options{Unseal: unseal, Now: clock.now}), NewBuilder(Options{Unseal: unseal, Now: clock.now})
			client := anyClient(func(cfg *tls.Config) {
				cfg.ServerName, cfg.ClientSessionCache = "a.example.com", tls.NewLRUClientSessionCache(0)
			})
			if _, err := shake(t, config(t, before, options(server)), client); err != nil {
				t.Fatal(err)
			}
			after.InheritTicketKeys(c.keys(before.TicketKeys()))
			clock.ahead.Store(int64(c.after))
			state, err := shake(t, config(t, after, options(server)), client)
			if err != nil || state.DidResume != c.want {
				t.Errorf("resumed is %v, want %v; %v", state.DidResume, c.want, err)
			}
		})
	}
}
