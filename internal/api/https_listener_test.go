package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/slb"
)

// TestHTTPSDefaults: what a listener has that was told nothing.
func TestHTTPSDefaults(t *testing.T) {
	w := newWorld(t)
	lb := withCertificates(w)
	server := w.fill("$SERVER", lb)
	w.ok("CreateLoadBalancerHTTPSListener", "LoadBalancerId", lb, "ListenerPort", "443", "BackendServerPort", "8080", "HealthCheck", "on", "ServerCertificateId", server)
	a := w.ok("DescribeLoadBalancerHTTPSListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "443")
	for name, want := range map[string]any{
		"TLSCipherPolicy": "tls_cipher_policy_1_0", "EnableHttp2": "on", "Gzip": "on", "XForwardedFor": "on", "XForwardedFor_proto": "off",
		"IdleTimeout": 15.0, "RequestTimeout": 60.0, "Bandwidth": -1.0, "Scheduler": "wrr", "StickySession": "off", "Status": "stopped", "ServerCertificateId": server,
	} {
		if a[name] != want {
			t.Errorf("%s is %v, want %v", name, a[name], want)
		}
	}
	if _, there := a["CACertificateId"]; there {
		t.Error("mutual TLS was not asked for")
	}
	// Other answers know the protocol.
	d := w.ok("DescribeLoadBalancerAttribute", "LoadBalancerId", lb)
	if got := d.text(t, "ListenerPortsAndProtocol", "ListenerPortAndProtocol", 0, "ListenerProtocol"); got != "https" {
		t.Error(got)
	}
}

// TestHTTPSRoundTrip: each setting is told as it was sent, and a set action
// changes that one and no other. Certificate tools send the first alone.
func TestHTTPSRoundTrip(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        any
	}{
		{"ServerCertificateId", "$OTHER", "$OTHER"},
		{"CACertificateId", "$CA", "$CA"},
		{"TLSCipherPolicy", "$POLICY", "$POLICY"},
		{"TLSCipherPolicy", "TLS_cipher_policy_1_2_strict_with_1_3", "tls_cipher_policy_1_2_strict_with_1_3"},
		{"EnableHttp2", "OFF", "off"},
		{"Gzip", "off", "off"},
		{"IdleTimeout", "60", 60.0},
		{"RequestTimeout", "180", 180.0},
		{"XForwardedFor_SLBPORT", "on", "on"},
		{"XForwardedFor_ClientCertClientVerify", "on", "on"},
		{"XForwardedFor_ClientCertFingerprint", "on", "on"},
		{"XForwardedFor_ClientCertIssuerDN", "ON", "on"},
		{"XForwardedFor_ClientCertSubjectDN", "on", "on"},
		{"XForwardedFor_ClientCertClientVerifyAlias", "v-1", "v-1"},
		{"XForwardedFor_ClientCertFingerprintAlias", "My_Print", "My_Print"},
		{"XForwardedFor_ClientCertIssuerDNAlias", "i", "i"},
		{"XForwardedFor_ClientCertSubjectDNAlias", "s", "s"},
		{"Bandwidth", "50", 50.0},
		{"Description", "k8s/443/web", "k8s/443/web"},
		{"HealthCheck", "on", "on"},
	} {
		t.Run(c.name+"="+c.value, func(t *testing.T) {
			w := newWorld(t)
			lb := withHTTPS(w)
			w.policy("modern")
			other := w.upload(goldenPair)
			fill := func(text string) string { return strings.ReplaceAll(w.fill(text, lb), "$OTHER", other) }
			if text, ok := c.want.(string); ok {
				c.want = fill(text)
			}
			describe := func() answer {
				a := w.ok("DescribeLoadBalancerHTTPSListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "443")
				delete(a, "RequestId")
				return a
			}
			before := describe()
			w.ok("SetLoadBalancerHTTPSListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "443", c.name, fill(c.value))
			after := describe()
			if after[c.name] != c.want || before[c.name] == c.want {
				t.Errorf("%v, was %v, want %v", after[c.name], before[c.name], c.want)
			}
			delete(before, c.name)
			delete(after, c.name)
			if fmt.Sprint(before) != fmt.Sprint(after) {
				t.Errorf("something else changed:\n%v\n%v", before, after)
			}
		})
	}
}

// TestMutualTLSEnds: an empty CACertificateId, as Terraform sends it, ends what
// an id began; none leaves it.
func TestMutualTLSEnds(t *testing.T) {
	w := newWorld(t)
	lb := withHTTPS(w)
	set := func(p ...string) any {
		w.ok("SetLoadBalancerHTTPSListenerAttribute", append([]string{"LoadBalancerId", lb, "ListenerPort", "443"}, p...)...)
		return w.ok("DescribeLoadBalancerHTTPSListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "443")["CACertificateId"]
	}
	ca := w.fill("$CA", lb)
	if got := set("CACertificateId", ca); got != ca {
		t.Error(got)
	}
	if got := set("Gzip", "off"); got != ca {
		t.Error(got)
	}
	w.fails(slb.ErrCACertificateUsed, "DeleteCACertificate", "RegionId", "cn-hangzhou", "CACertificateId", ca)
	if got := set("CACertificateId", ""); got != nil {
		t.Error(got)
	}
	w.ok("DeleteCACertificate", "RegionId", "cn-hangzhou", "CACertificateId", ca)
}

// TestDomainExtensionLife: the listener and the lists tell it, a certificate in
// it is in use, and it goes with its listener or instance.
func TestDomainExtensionLife(t *testing.T) {
	w := newWorld(t)
	lb := withHTTPS(w)
	server, other := w.fill("$SERVER", lb), w.upload(goldenPair)
	de := w.extension(lb, "443", "Shop.example.com", other)
	a := w.ok("DescribeDomainExtensionAttribute", "RegionId", "cn-hangzhou", "DomainExtensionId", de)
	if a.text(t, "Domain") != "Shop.example.com" || a.at(t, "ListenerPort") != 443.0 || a.text(t, "LoadBalancerId") != lb || a.text(t, "ServerCertificateId") != other {
		t.Error(a)
	}
	if n := len(w.ok("DescribeLoadBalancerHTTPSListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "443").at(t, "DomainExtensions", "DomainExtension").([]any)); n != 2 {
		t.Errorf("the listener tells %d", n)
	}
	one := w.ok("DescribeDomainExtensions", "RegionId", "cn-hangzhou", "LoadBalancerId", lb, "ListenerPort", "443", "DomainExtensionId", de)
	if len(one.at(t, "DomainExtensions", "DomainExtension").([]any)) != 1 {
		t.Error(one)
	}
	w.fails(slb.ErrServerCertificateUsed, "DeleteServerCertificate", "ServerCertificateId", other)
	w.ok("SetDomainExtensionAttribute", "RegionId", "cn-hangzhou", "DomainExtensionId", de, "ServerCertificateId", server)
	w.ok("DeleteServerCertificate", "ServerCertificateId", other)
	w.ok("DeleteDomainExtension", "RegionId", "cn-hangzhou", "DomainExtensionId", de)
	w.fails(slb.ErrDomainExtension, "DeleteDomainExtension", "RegionId", "cn-hangzhou", "DomainExtensionId", de)

	w.ok("DeleteLoadBalancerListener", "LoadBalancerId", lb, "ListenerPort", "443")
	if n := w.store.State().DomainExtensions.Len(); n != 0 {
		t.Errorf("%d are left of a listener that is gone", n)
	}
	w.https(lb, "443", server)
	w.extension(lb, "443", "a.example.com", server)
	w.ok("DeleteLoadBalancer", "LoadBalancerId", lb)
	if n := w.store.State().DomainExtensions.Len(); n != 0 {
		t.Errorf("%d are left of an instance that is gone", n)
	}
	w.ok("DeleteServerCertificate", "ServerCertificateId", server)
}

// TestPolicyPages: pages neither overlap nor run short, also when the policy on
// which one ended is deleted before the next is asked for.
func TestPolicyPages(t *testing.T) {
	w := newWorld(t)
	var all []string
	for i := range 7 {
		all = append(all, w.policy(fmt.Sprintf("policy%d", i)))
	}
	slices.Sort(all)
	var got []string
	token := ""
	for page := 0; ; page++ {
		p := params{"RegionId", "cn-hangzhou", "MaxItems", "3"}
		if token != "" {
			p = append(p, "NextToken", token)
		}
		a := w.ok("ListTLSCipherPolicies", p...)
		list := a.at(t, "TLSCipherPolicies").([]any)
		for _, v := range list {
			got = append(got, answer(v.(map[string]any)).text(t, "InstanceId"))
		}
		if a.at(t, "IsTruncated") == false {
			break
		}
		if len(list) != 3 {
			t.Errorf("page %d has %d entries and is not the last", page, len(list))
		}
		token = a.text(t, "NextToken")
		w.ok("DeleteTLSCipherPolicy", "RegionId", "cn-hangzhou", "TLSCipherPolicyId", got[len(got)-1])
	}
	if !slices.Equal(got, all) {
		t.Errorf("%v, want %v", got, all)
	}
	w.policy("searched") // after the pages, as these delete some
	if a := w.ok("ListTLSCipherPolicies", "RegionId", "cn-hangzhou", "Name", "searched"); a.at(t, "TotalCount") != 1.0 {
		t.Error(a)
	}
}

// TestPolicyNames: suites and versions in any case, doublets once, those that
// this server cannot serve by name.
func TestPolicyNames(t *testing.T) {
	w := newWorld(t)
	id := w.ok("CreateTLSCipherPolicy", "RegionId", "cn-hangzhou", "Name", "Mixed.case_1-x", "TLSVersions.1", "tlsv1.2", "TLSVersions.2", "TLSv1.3", "TLSVersions.3", "TLSv1.2",
		"Ciphers.1", "ecdhe-rsa-aes256-sha384", "Ciphers.2", "TLS_AES_128_CCM_8_SHA256", "Ciphers.3", "ECDHE-RSA-AES256-SHA384").text(t, "TLSCipherPolicyId")
	policy, _ := w.store.State().TLSCipherPolicies.Get(id)
	if fmt.Sprint(policy.TLSVersions, policy.Ciphers) != "[TLSv1.2 TLSv1.3] [ECDHE-RSA-AES256-SHA384 TLS_AES_128_CCM_8_SHA256]" {
		t.Error(policy)
	}
	// Every name of the reference's table is taken for every version it stands with.
	for _, version := range slb.TLSVersions {
		p := params{"RegionId", "cn-hangzhou", "Name", "all", "TLSVersions.1", version}
		for i, c := range slb.CiphersOfVersion(version) {
			p = append(p, fmt.Sprint("Ciphers.", i+1), c)
		}
		w.ok("CreateTLSCipherPolicy", p...)
	}
}

// TestPolicyOfNothing: a policy all of whose suites are names alone is kept for
// its owner, but no listener comes to have it.
func TestPolicyOfNothing(t *testing.T) {
	w := newWorld(t)
	lb := withHTTPS(w)
	nothing := params{"TLSVersions.1", "TLSv1.2", "TLSVersions.2", "TLSv1.3", "Ciphers.1", "ECDHE-RSA-AES256-SHA384", "Ciphers.2", "TLS_AES_128_CCM_SHA256"}
	names := w.ok("CreateTLSCipherPolicy", append(params{"RegionId", "cn-hangzhou", "Name", "names"}, nothing...)...).text(t, "TLSCipherPolicyId")
	listener := params{"LoadBalancerId", lb, "ListenerPort", "443"}
	w.fails(invalidError("TLSCipherPolicy"), "SetLoadBalancerHTTPSListenerAttribute", append(listener, "TLSCipherPolicy", names)...)
	w.fails(invalidError("TLSCipherPolicy"), "CreateLoadBalancerHTTPSListener", "LoadBalancerId", lb, "ListenerPort", "444", "BackendServerPort", "8080", "HealthCheck", "off",
		"ServerCertificateId", w.fill("$SERVER", lb), "TLSCipherPolicy", names)

	set := params{"RegionId", "cn-hangzhou", "TLSCipherPolicyId", names, "Name", "names"}
	w.ok("SetTLSCipherPolicyAttribute", append(set, append(nothing, "Ciphers.3", "AES128-GCM-SHA256")...)...)
	w.ok("SetLoadBalancerHTTPSListenerAttribute", append(listener, "TLSCipherPolicy", names)...)
	w.fails(invalidError("Ciphers"), "SetTLSCipherPolicyAttribute", append(set, nothing...)...)
	w.ok("SetLoadBalancerHTTPSListenerAttribute", append(listener, "TLSCipherPolicy", "tls_cipher_policy_1_2")...)
	w.ok("SetTLSCipherPolicyAttribute", append(set, nothing...)...)
}

// TestClientCertAliases: an alias takes no header's place that means something
// else, and no other's of the listener.
func TestClientCertAliases(t *testing.T) {
	w := newWorld(t)
	lb := withHTTPS(w)
	set := func(p ...string) []string {
		return append([]string{"LoadBalancerId", lb, "ListenerPort", "443"}, p...)
	}
	for _, alias := range []string{"Host", "content_length", "X-Forwarded-For", "proxy-x", "a b", "a:", strings.Repeat("a", 41)} {
		if status, _ := w.try("SetLoadBalancerHTTPSListenerAttribute", set("XForwardedFor_ClientCertSubjectDNAlias", alias)...); status != 400 {
			t.Errorf("alias %q: status %d", alias, status)
		}
	}
	w.ok("SetLoadBalancerHTTPSListenerAttribute", set("XForwardedFor_ClientCertSubjectDNAlias", "X-Who")...)
	if status, _ := w.try("SetLoadBalancerHTTPSListenerAttribute", set("XForwardedFor_ClientCertIssuerDNAlias", "x_who")...); status != 400 {
		t.Errorf("the same alias twice: status %d", status)
	}
	w.ok("SetLoadBalancerHTTPSListenerAttribute", set("XForwardedFor_ClientCertSubjectDNAlias", "")...)
	a := w.ok("DescribeLoadBalancerHTTPSListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "443")
	if alias, there := a["XForwardedFor_ClientCertSubjectDNAlias"]; there {
		t.Errorf("the alias is still %v", alias)
	}
}
