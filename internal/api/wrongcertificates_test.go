package api

import (
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/slb"
)

// wrongHTTPS are the rows about certificates, additional domains, policies and
// HTTPS listeners; see wrong. The world is that of withHTTPS, with a policy and
// an HTTP listener on 80.
func wrongHTTPS() []wrong {
	const region = "cn-hangzhou"
	long := strings.Repeat("n", 201)
	out := []wrong{
		row("no region", missingError("RegionId"), "UploadServerCertificate", "ServerCertificate", "$PEM", "PrivateKey", "$KEY"),
		row("name", invalidError("ServerCertificateName"), "UploadServerCertificate", "RegionId", region, "ServerCertificate", "$PEM", "PrivateKey", "$KEY", "ServerCertificateName", "a b"),
		row("long name", invalidError("ServerCertificateName"), "UploadServerCertificate", "RegionId", region, "ServerCertificate", "$PEM", "PrivateKey", "$KEY", "ServerCertificateName", long[:81]),
		row("tag", invalidError("Tag"), "UploadServerCertificate", "RegionId", region, "ServerCertificate", "$PEM", "PrivateKey", "$KEY", "Tag.1.Key", "acs:x"),
		row("long tag", invalidError("Tag"), "UploadServerCertificate", "RegionId", region, "ServerCertificate", "$PEM", "PrivateKey", "$KEY", "Tag.1.Key", long[:65]),
		row("no id", missingError("ServerCertificateId"), "DeleteServerCertificate", "RegionId", region),
		row("unknown", slb.ErrServerCertificate, "DeleteServerCertificate", "RegionId", region, "ServerCertificateId", "none"),
		row("used", slb.ErrServerCertificateUsed, "DeleteServerCertificate", "RegionId", region, "ServerCertificateId", "$SERVER"),
		row("no name", missingError("ServerCertificateName"), "SetServerCertificateName", "RegionId", region, "ServerCertificateId", "$SERVER"),
		row("name", invalidError("ServerCertificateName"), "SetServerCertificateName", "RegionId", region, "ServerCertificateId", "$SERVER", "ServerCertificateName", "ü!"),
		row("unknown", slb.ErrServerCertificate, "SetServerCertificateName", "RegionId", region, "ServerCertificateId", "$CA", "ServerCertificateName", "x"),
		row("no certificate", missingError("CACertificate"), "UploadCACertificate", "RegionId", region),
		row("name", invalidError("CACertificateName"), "UploadCACertificate", "RegionId", region, "CACertificate", "$PEM", "CACertificateName", "1st"),
		row("long tag", invalidError("Tag"), "UploadCACertificate", "RegionId", region, "CACertificate", "$PEM", "Tag.1.Key", long[:129]),
		row("unknown", slb.ErrCACertificate, "DeleteCACertificate", "RegionId", region, "CACertificateId", "$SERVER"),
		row("used", slb.ErrCACertificateUsed, "DeleteCACertificate", "RegionId", region, "CACertificateId", "$CA"),
		row("unknown", slb.ErrCACertificate, "SetCACertificateName", "RegionId", region, "CACertificateId", "none", "CACertificateName", "x"),

		row("name", invalidError("Name"), "CreateTLSCipherPolicy", "RegionId", region, "Name", "1st", "TLSVersions.1", "TLSv1.2", "Ciphers.1", "AES128-SHA"),
		row("short name", invalidError("Name"), "CreateTLSCipherPolicy", "RegionId", region, "Name", "a", "TLSVersions.1", "TLSv1.2", "Ciphers.1", "AES128-SHA"),
		row("long name", invalidError("Name"), "CreateTLSCipherPolicy", "RegionId", region, "Name", long, "TLSVersions.1", "TLSv1.2", "Ciphers.1", "AES128-SHA"),
		row("no version", missingError("TLSVersions.1"), "CreateTLSCipherPolicy", "RegionId", region, "Name", "ab", "Ciphers.1", "AES128-SHA"),
		row("no cipher", missingError("Ciphers.1"), "CreateTLSCipherPolicy", "RegionId", region, "Name", "ab", "TLSVersions.1", "TLSv1.2"),
		row("version", invalidError("TLSVersions.1"), "CreateTLSCipherPolicy", "RegionId", region, "Name", "ab", "TLSVersions.1", "SSLv3", "Ciphers.1", "AES128-SHA"),
		row("cipher", invalidError("Ciphers.1"), "CreateTLSCipherPolicy", "RegionId", region, "Name", "ab", "TLSVersions.1", "TLSv1.2", "Ciphers.1", "RC4-MD5"),
		row("cipher of another version", invalidError("Ciphers"), "CreateTLSCipherPolicy", "RegionId", region, "Name", "ab", "TLSVersions.1", "TLSv1.3", "Ciphers.1", "AES128-SHA"),
		row("cipher of 1.3", invalidError("Ciphers"), "CreateTLSCipherPolicy", "RegionId", region, "Name", "ab", "TLSVersions.1", "TLSv1.2", "Ciphers.1", "TLS_AES_128_GCM_SHA256"),
		row("unknown", slb.ErrResourceNotFound, "SetTLSCipherPolicyAttribute", "RegionId", region, "TLSCipherPolicyId", "tls_cipher_policy_1_2", "Name", "ab", "TLSVersions.1", "TLSv1.2", "Ciphers.1", "AES128-SHA"),
		row("long name", invalidError("Name"), "SetTLSCipherPolicyAttribute", "RegionId", region, "TLSCipherPolicyId", "$POLICY", "Name", long[:129], "TLSVersions.1", "TLSv1.2", "Ciphers.1", "AES128-SHA"),
		row("cipher", invalidError("Ciphers"), "SetTLSCipherPolicyAttribute", "RegionId", region, "TLSCipherPolicyId", "$POLICY", "Name", "ab", "TLSVersions.1", "TLSv1.0", "Ciphers.1", "AES128-SHA256"),
		row("unknown", slb.ErrResourceNotFound, "DeleteTLSCipherPolicy", "RegionId", region, "TLSCipherPolicyId", "tls_cipher_policy_1_2"),
		row("used", slb.ErrTLSCipherPolicyUsed, "DeleteTLSCipherPolicy", "RegionId", region, "TLSCipherPolicyId", "$POLICY"),
		row("page", invalidError("MaxItems"), "ListTLSCipherPolicies", "RegionId", region, "MaxItems", "101"),
		row("page", invalidError("MaxItems"), "ListTLSCipherPolicies", "RegionId", region, "MaxItems", "0"),
		row("token", invalidError("NextToken"), "ListTLSCipherPolicies", "RegionId", region, "NextToken", "!"),
	}
	for _, action := range []string{"UploadServerCertificate", "UploadCACertificate", "SetServerCertificateName", "SetCACertificateName", "DeleteCACertificate", "DescribeCACertificates",
		"CreateTLSCipherPolicy", "SetTLSCipherPolicyAttribute", "DeleteTLSCipherPolicy", "ListTLSCipherPolicies",
		"CreateDomainExtension", "SetDomainExtensionAttribute", "DeleteDomainExtension", "DescribeDomainExtensions", "DescribeDomainExtensionAttribute"} {
		all := params{"LoadBalancerId", "LB", "ListenerPort", "443", "Domain", "a.example.com", "DomainExtensionId", "$DOMAIN", "ServerCertificateId", "$SERVER", "CACertificateId", "$CA",
			"TLSCipherPolicyId", "$POLICY", "Name", "ab", "TLSVersions.1", "TLSv1.2", "Ciphers.1", "AES128-SHA", "ServerCertificate", "$PEM", "PrivateKey", "$KEY", "CACertificate", "$PEM",
			"ServerCertificateName", "ab", "CACertificateName", "ab"}
		out = append(out,
			wrong{"no region", action, all, missingError("RegionId")},
			wrong{"other region", action, append(params{"RegionId", "mars"}, all...), slb.ErrRegionNotFound})
	}
	for _, domain := range []string{"*", "*.", "a..b", ".a", "a.", "-a.example", "a-.example", "a_b.example", "www.*.example", "*a.example", "a b", "bücher.example",
		strings.Repeat("l", 64) + ".example", strings.Repeat("a.", 130) + "b"} {
		out = append(out, row(domain, invalidError("Domain"), "CreateDomainExtension", "RegionId", region, "LoadBalancerId", "LB", "ListenerPort", "443", "Domain", domain, "ServerCertificateId", "$SERVER"))
	}
	for _, action := range []string{"SetDomainExtensionAttribute", "DeleteDomainExtension", "DescribeDomainExtensionAttribute"} {
		out = append(out,
			row("no id", missingError("DomainExtensionId"), action, "RegionId", region, "ServerCertificateId", "$SERVER"),
			row("unknown", slb.ErrDomainExtension, action, "RegionId", region, "DomainExtensionId", "de-none", "ServerCertificateId", "$SERVER"))
	}
	for _, action := range []string{"CreateDomainExtension", "DescribeDomainExtensions"} {
		other := slb.ErrFixedProtocolPort
		if action == "DescribeDomainExtensions" {
			other = slb.ErrResourceNotFound
		}
		domain := params{"RegionId", region, "Domain", "a.example.com", "ServerCertificateId", "$SERVER"}
		out = append(out,
			wrong{"unknown instance", action, append(params{"LoadBalancerId", "lb-none", "ListenerPort", "443"}, domain...), slb.ErrLoadBalancerNotFound},
			wrong{"unknown listener", action, append(params{"LoadBalancerId", "LB", "ListenerPort", "7"}, domain...), slb.ErrResourceNotFound},
			wrong{"no HTTPS", action, append(params{"LoadBalancerId", "LB", "ListenerPort", "80"}, domain...), other},
			wrong{"port", action, append(params{"LoadBalancerId", "LB", "ListenerPort", "0"}, domain...), slb.ErrPort})
	}
	domain := params{"RegionId", region, "LoadBalancerId", "LB", "ListenerPort", "443", "Domain"}
	out = append(out,
		wrong{"no domain", "CreateDomainExtension", domain[:6], missingError("Domain")},
		wrong{"no certificate", "CreateDomainExtension", append(domain[:7:7], "a.example"), slb.ErrServerCertificateNone},
		wrong{"unknown certificate", "CreateDomainExtension", append(domain[:7:7], "a.example", "ServerCertificateId", "$CA"), slb.ErrServerCertificate},
		wrong{"there", "CreateDomainExtension", append(domain[:7:7], "*.P256.example.com", "ServerCertificateId", "$SERVER"), slb.ErrDomainExtensionExists},
		row("no certificate", slb.ErrServerCertificateNone, "SetDomainExtensionAttribute", "RegionId", region, "DomainExtensionId", "$DOMAIN"),
		row("unknown certificate", slb.ErrServerCertificate, "SetDomainExtensionAttribute", "RegionId", region, "DomainExtensionId", "$DOMAIN", "ServerCertificateId", "none"))
	return append(out, wrongHTTPSListeners()...)
}

func wrongHTTPSListeners() []wrong {
	var out []wrong
	create := params{"LoadBalancerId", "LB", "ListenerPort", "444", "BackendServerPort", "8080", "HealthCheck", "on", "ServerCertificateId", "$SERVER"}
	for _, v := range []struct {
		name, value string
		want        *slb.Error
	}{
		{"ServerCertificateId", "none", slb.ErrServerCertificate},
		{"ServerCertificateId", "$CA", slb.ErrServerCertificate},
		{"ServerCertificateId", strings.Repeat("x", 129), invalidError("ServerCertificateId")},
		{"CACertificateId", "none", slb.ErrCACertificate},
		{"CACertificateId", "$SERVER", slb.ErrCACertificate},
		{"TLSCipherPolicy", "tls_cipher_policy_1_4", invalidError("TLSCipherPolicy")},
		{"TLSCipherPolicy", "tls-none", invalidError("TLSCipherPolicy")},
		{"EnableHttp2", "yes", invalidError("EnableHttp2")},
		// What it shares with HTTP listeners is judged alike.
		{"IdleTimeout", "61", invalidError("IdleTimeout")},
		{"RequestTimeout", "0", invalidError("RequestTimeout")},
		{"Scheduler", "sch", invalidError("Scheduler")},
		{"StickySession", "on", missingError("StickySessionType")},
		{"Gzip", "much", invalidError("Gzip")},
		{"VServerGroupId", "rsp-1", slb.ErrVServerGroup},
		{"AclId", "acl-1", slb.ErrACLNotFound},
		{"HealthCheckTimeout", "301", invalidError("HealthCheckTimeout")},
		{"Bandwidth", "0", slb.ErrBandwidth},
	} {
		name := v.name + "=" + v.value
		var own params
		for i := 0; i < len(create); i += 2 {
			if create[i] != v.name {
				own = append(own, create[i], create[i+1])
			}
		}
		out = append(out,
			wrong{name, "CreateLoadBalancerHTTPSListener", append(own, v.name, v.value), v.want},
			wrong{name, "SetLoadBalancerHTTPSListenerAttribute", params{"LoadBalancerId", "LB", "ListenerPort", "443", v.name, v.value}, v.want})
	}
	return append(out,
		wrong{"no certificate", "CreateLoadBalancerHTTPSListener", create[:8:8], slb.ErrServerCertificateNone},
		wrong{"no health check", "CreateLoadBalancerHTTPSListener", append(create[:6:6], "ServerCertificateId", "$SERVER"), missingError("HealthCheck")},
		row("no port of the servers", missingError("BackendServerPort"), "CreateLoadBalancerHTTPSListener", "LoadBalancerId", "LB", "ListenerPort", "444", "HealthCheck", "on", "ServerCertificateId", "$SERVER"),
		row("taken", slb.ErrListenerExists, "CreateLoadBalancerHTTPSListener", "LoadBalancerId", "LB", "ListenerPort", "80", "BackendServerPort", "1", "HealthCheck", "on", "ServerCertificateId", "$SERVER"),
		row("https on http", slb.ErrFixedProtocolPort, "SetLoadBalancerHTTPSListenerAttribute", "LoadBalancerId", "LB", "ListenerPort", "80", "Gzip", "off"),
		row("http on https", slb.ErrFixedProtocolPort, "SetLoadBalancerHTTPListenerAttribute", "LoadBalancerId", "LB", "ListenerPort", "443", "Gzip", "off"),
		row("no listener", slb.ErrResourceNotFound, "SetLoadBalancerHTTPSListenerAttribute", "LoadBalancerId", "LB", "ListenerPort", "7", "Gzip", "off"),
		row("http is no https", slb.ErrResourceNotFound, "DescribeLoadBalancerHTTPSListenerAttribute", "LoadBalancerId", "LB", "ListenerPort", "80"),
		row("unknown instance", slb.ErrLoadBalancerNotFound, "DescribeLoadBalancerHTTPSListenerAttribute", "LoadBalancerId", "lb-none", "ListenerPort", "443"),
		wrong{"unknown instance", "CreateLoadBalancerHTTPSListener", append(params{"LoadBalancerId", "lb-none"}, create[2:]...), slb.ErrLoadBalancerNotFound},
	)
}

func TestWrongHTTPS(t *testing.T) {
	w := newWorld(t)
	lb := withHTTPS(w)
	w.http(lb, 80)
	w.ok("SetLoadBalancerHTTPSListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "443", "CACertificateId", w.fill("$CA", lb), "TLSCipherPolicy", w.policy("modern"))
	for _, r := range wrongHTTPS() {
		t.Run(r.action+"/"+r.name, func(t *testing.T) {
			p := make(params, len(r.params))
			for i, v := range r.params {
				p[i] = w.fill(v, lb)
			}
			w.t = t
			w.fails(r.want, r.action, p...)
		})
	}
}
