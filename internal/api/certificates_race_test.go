package api

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
	"github.com/openslb/openslb/internal/store/memkv"
)

// nodePair makes two servers over one KV, each with a store of its own, so that
// they share nothing but what is committed.
func nodePair(t *testing.T) (first, second *world) {
	k := memkv.New()
	node := func() *world {
		st, err := store.New(context.Background(), k, store.Options{Logger: slog.New(slog.DiscardHandler), CompareInterval: -1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { st.Close() })
		w := newWorld(t, func(c *Config) { c.Store = st; c.Quotas.DomainExtensions = Unlimited })
		w.store = st
		return w
	}
	return node(), node()
}

// dangling lists what names something that is not there.
func dangling(s *slb.State) []string {
	var out []string
	for key, l := range s.Listeners.All() {
		if l.HTTPS == nil {
			continue
		}
		if _, ok := s.ServerCertificates.Get(l.HTTPS.ServerCertificateID); !ok {
			out = append(out, key+" names certificate "+l.HTTPS.ServerCertificateID)
		}
		if _, ok := s.CACertificates.Get(l.HTTPS.CACertificateID); !ok && l.HTTPS.CACertificateID != "" {
			out = append(out, key+" names CA certificate "+l.HTTPS.CACertificateID)
		}
		if _, ok := s.TLSPolicy(l.HTTPS.TLSCipherPolicy); !ok {
			out = append(out, key+" names policy "+l.HTTPS.TLSCipherPolicy)
		}
	}
	for key, d := range s.DomainExtensions.All() {
		if _, ok := s.ServerCertificates.Get(d.ServerCertificateID); !ok {
			out = append(out, key+" names certificate "+d.ServerCertificateID)
		}
		if _, ok := s.Listeners.Get(slb.ListenerKey(d.LoadBalancerID, "tcp", d.ListenerPort)); !ok {
			out = append(out, key+" has no listener")
		}
	}
	return out
}

// TestParallelCertificates: what one caller deletes and another begins to use at
// the same time is either in use or gone, on one node and on two.
func TestParallelCertificates(t *testing.T) {
	first, second := nodePair(t)
	for name, other := range map[string]*world{"one node": first, "two nodes": second} {
		t.Run(name, func(t *testing.T) {
			first.t, other.t = t, t
			lb := first.create()
			p := certified(t, "p256")
			stay := first.upload(p)
			first.https(lb, "443", stay)
			de := first.extension(lb, "443", "a.example.com", stay)
			await(t, first, other)
			used, gone := 0, 0
			for round := range 12 {
				cert, ca, policy := first.upload(p), first.uploadCA(p), first.policy(fmt.Sprint("policy", round))
				await(t, first, other)
				set := []string{"LoadBalancerId", lb, "ListenerPort", "443"}
				region := []string{"RegionId", "cn-hangzhou"}
				calls := []func(){
					func() { first.try("DeleteServerCertificate", append(region, "ServerCertificateId", cert)...) },
					func() { first.try("DeleteCACertificate", append(region, "CACertificateId", ca)...) },
					func() { first.try("DeleteTLSCipherPolicy", append(region, "TLSCipherPolicyId", policy)...) },
					func() {
						other.try("SetLoadBalancerHTTPSListenerAttribute", append(set, "CACertificateId", ca)...)
					},
					func() {
						other.try("SetLoadBalancerHTTPSListenerAttribute", append(set, "TLSCipherPolicy", policy)...)
					},
					func() {
						other.try("CreateLoadBalancerHTTPSListener", "LoadBalancerId", lb, "ListenerPort", fmt.Sprint(1000+round), "BackendServerPort", "1", "HealthCheck", "off", "ServerCertificateId", cert)
					},
				}
				if round%2 == 0 {
					calls[5] = func() {
						other.try("SetDomainExtensionAttribute", append(region, "DomainExtensionId", de, "ServerCertificateId", cert)...)
					}
				}
				together(len(calls), func(i int) { calls[i]() })
				await(t, first, other)
				if bad := dangling(first.store.State()); bad != nil {
					t.Fatal(bad)
				}
				if _, ok := first.store.State().ServerCertificates.Get(cert); ok {
					used++
				} else {
					gone++
				}
				for _, l := range first.store.State().ListenersOf(slb.LoadBalancerID(lb)) {
					if l.Port != 443 {
						first.ok("DeleteLoadBalancerListener", "LoadBalancerId", lb, "ListenerPort", fmt.Sprint(l.Port))
					}
				}
				first.ok("SetDomainExtensionAttribute", append(region, "DomainExtensionId", de, "ServerCertificateId", stay)...)
				await(t, first, other)
			}
			t.Logf("%d used, %d deleted", used, gone)
		})
	}
}

// TestParallelDomainExtensions: an additional domain goes with its listener
// however close its creation was, two of one name never come up, and the quota
// holds.
func TestParallelDomainExtensions(t *testing.T) {
	first, second := nodePair(t)
	cert := first.upload(certified(t, "p256"))
	for round := range 10 {
		lb := first.create()
		first.https(lb, "443", cert)
		await(t, first, second)
		together(8, func(i int) {
			w := []*world{first, second}[i%2]
			if i == 7 {
				w.try("DeleteLoadBalancerListener", "LoadBalancerId", lb, "ListenerPort", "443")
				return
			}
			w.try("CreateDomainExtension", "RegionId", "cn-hangzhou", "LoadBalancerId", lb, "ListenerPort", "443",
				"Domain", fmt.Sprintf("d%d.example.com", i/2), "ServerCertificateId", cert)
		})
		await(t, first, second)
		if bad := dangling(first.store.State()); bad != nil {
			t.Fatalf("round %d: %v", round, bad)
		}
	}
	lb := first.create()
	first.https(lb, "443", cert)
	await(t, first, second)
	together(8, func(i int) {
		[]*world{first, second}[i%2].try("CreateDomainExtension", "RegionId", "cn-hangzhou", "LoadBalancerId", lb, "ListenerPort", "443",
			"Domain", fmt.Sprintf("d%d.example.com", i/4), "ServerCertificateId", cert)
	})
	await(t, first, second)
	if n := first.store.State().DomainExtensions.Len(); n != 2 {
		t.Errorf("%d domains of 2 names", n)
	}
}

// TestParallelCertificateQuota: the quota of certificates holds under parallel uploads.
func TestParallelCertificateQuota(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Quotas.ServerCertificates = 5 })
	p := certified(t, "p256")
	together(20, func(int) {
		w.try("UploadServerCertificate", "RegionId", "cn-hangzhou", "ServerCertificate", p.cert, "PrivateKey", p.key)
	})
	if n := w.store.State().ServerCertificates.Len(); n != 5 {
		t.Errorf("%d certificates", n)
	}
}

// await brings the stores of two nodes to the same revision.
func await(t *testing.T, a, b *world) {
	t.Helper()
	r := max(a.store.State().Revision, b.store.State().Revision)
	for _, w := range []*world{a, b} {
		if err := w.store.Wait(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNoSecretsInErrors: what is sent with an upload comes up in no answer, in
// neither format, whether it is taken or refused.
func TestNoSecretsInErrors(t *testing.T) {
	w := newWorld(t)
	p := certified(t, "p256")
	secret := p.key[60:100]
	for _, format := range []string{"XML", "JSON"} {
		for _, call := range []params{
			{"ServerCertificate", p.cert, "PrivateKey", p.key},
			{"ServerCertificate", p.cert, "PrivateKey", p.key + p.key},
			{"ServerCertificate", p.key, "PrivateKey", p.key},
			{"ServerCertificate", certified(t, "p384").cert, "PrivateKey", p.key},
			{"ServerCertificateName", p.key, "ServerCertificate", p.cert, "PrivateKey", p.key},
		} {
			_, body := w.send(format, "UploadServerCertificate", append(params{"RegionId", "cn-hangzhou"}, call...))
			if strings.Contains(body, secret) || strings.Contains(body, "PRIVATE") {
				t.Errorf("an answer tells of the key: %s", body)
			}
		}
	}
}
