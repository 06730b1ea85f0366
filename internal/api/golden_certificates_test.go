package api

import "github.com/openslb/openslb/internal/slb"

// goldenPair is the material of the golden files below, set by their setups.
var goldenPair *pair

func init() {
	for name, find := range map[string]func(s *slb.State) string{
		"$PEM":    func(*slb.State) string { return goldenPair.cert },
		"$KEY":    func(*slb.State) string { return goldenPair.key },
		"$SERVER": func(s *slb.State) string { return firstOf(s.ServerCertificates) },
		"$CA":     func(s *slb.State) string { return firstOf(s.CACertificates) },
		"$POLICY": func(s *slb.State) string { return firstOf(s.TLSCipherPolicies) },
		"$DOMAIN": func(s *slb.State) string { return firstOf(s.DomainExtensions) },
	} {
		placeholders[name] = find
	}
	goldens = append(goldens, certificateGoldens...)
}

func firstOf[T any](table slb.Table[T]) string {
	for key := range table.All() {
		return key
	}
	return ""
}

func withPair(w *world) string {
	goldenPair = certified(w.t, "p256")
	return oneBalancer(w)
}

func withCertificates(w *world) string {
	lb := withPair(w)
	w.upload(goldenPair, "ServerCertificateName", "shop", "Tag.1.Key", "team", "Tag.1.Value", "web")
	w.uploadCA(goldenPair, "CACertificateName", "staff")
	return lb
}

func withHTTPS(w *world) string {
	lb := withCertificates(w)
	w.https(lb, "443", w.fill("$SERVER", lb))
	w.extension(lb, "443", "*.p256.example.com", w.fill("$SERVER", lb))
	return lb
}

func withPolicy(w *world) string {
	lb := withCertificates(w)
	w.https(lb, "443", w.fill("$SERVER", lb), "TLSCipherPolicy", w.policy("modern"))
	return lb
}

var certificateGoldens = []golden{
	{"UploadServerCertificate", withPair, []params{
		{"RegionId", "cn-hangzhou", "ServerCertificate", "$PEM", "PrivateKey", "$KEY", "ServerCertificateName", "shop"},
		{"RegionId", "cn-hangzhou", "ServerCertificate", "$KEY", "PrivateKey", "$KEY"},
		{"RegionId", "cn-hangzhou", "AliCloudCertificateId", "4711"},
	}},
	{"DeleteServerCertificate", withHTTPS, []params{
		{"RegionId", "cn-hangzhou", "ServerCertificateId", "$SERVER"},
		{"RegionId", "cn-hangzhou", "ServerCertificateId", "$CA"},
	}},
	{"DescribeServerCertificates", withCertificates, []params{{"RegionId", "cn-hangzhou"}, {"ServerCertificateId", "none"}}},
	{"SetServerCertificateName", withCertificates, []params{
		{"RegionId", "cn-hangzhou", "ServerCertificateId", "$SERVER", "ServerCertificateName", "blog"},
		{"RegionId", "cn-hangzhou", "ServerCertificateId", "none", "ServerCertificateName", "blog"},
	}},
	{"UploadCACertificate", withPair, []params{
		{"RegionId", "cn-hangzhou", "CACertificate", "$PEM", "CACertificateName", "staff", "ResourceGroupId", "rg-1"},
		{"RegionId", "cn-hangzhou", "CACertificate", "PEM"},
	}},
	{"DeleteCACertificate", withCertificates, []params{
		{"RegionId", "cn-hangzhou", "CACertificateId", "$CA"},
		{"RegionId", "cn-hangzhou", "CACertificateId", "none"},
	}},
	{"DescribeCACertificates", withCertificates, []params{{"RegionId", "cn-hangzhou"}, {"RegionId", "cn-hangzhou", "CACertificateId", "none"}}},
	{"SetCACertificateName", withCertificates, []params{{"RegionId", "cn-hangzhou", "CACertificateId", "$CA", "CACertificateName", "guests"}}},

	{"CreateLoadBalancerHTTPSListener", withCertificates, []params{
		{"LoadBalancerId", "LB", "ListenerPort", "443", "BackendServerPort", "8080", "Bandwidth", "-1", "StickySession", "off", "HealthCheck", "off", "ServerCertificateId", "$SERVER"},
		{"LoadBalancerId", "LB", "ListenerPort", "444", "BackendServerPort", "8080", "Bandwidth", "-1", "HealthCheck", "off", "ServerCertificateId", "none"},
		{"LoadBalancerId", "LB", "ListenerPort", "444", "BackendServerPort", "8080", "Bandwidth", "-1", "HealthCheck", "off"},
	}},
	{"SetLoadBalancerHTTPSListenerAttribute", withHTTPS, []params{
		{"LoadBalancerId", "LB", "ListenerPort", "443", "CACertificateId", "$CA", "TLSCipherPolicy", "tls_cipher_policy_1_2_strict"},
		{"LoadBalancerId", "LB", "ListenerPort", "443", "TLSCipherPolicy", "tls_cipher_policy_9"},
	}},
	{"DescribeLoadBalancerHTTPSListenerAttribute", withHTTPS, []params{{"LoadBalancerId", "LB", "ListenerPort", "443"}, {"LoadBalancerId", "LB", "ListenerPort", "444"}}},
	{"SetListenerBackendProtocol", withHTTPS, []params{{"LoadBalancerId", "LB", "ListenerPort", "443", "BackendProtocol", "h2c"}, {"LoadBalancerId", "LB", "ListenerPort", "444", "BackendProtocol", "h2c"}}},
	{"DescribeListenerBackendProtocol", withHTTPS, []params{{"LoadBalancerId", "LB", "ListenerPort", "443"}}},
	{"CreateDomainExtension", withHTTPS, []params{
		{"RegionId", "cn-hangzhou", "LoadBalancerId", "LB", "ListenerPort", "443", "Domain", "www.example.com", "ServerCertificateId", "$SERVER"},
		{"RegionId", "cn-hangzhou", "LoadBalancerId", "LB", "ListenerPort", "443", "Domain", "www.example.com", "ServerCertificateId", "$SERVER"},
	}},
	{"SetDomainExtensionAttribute", withHTTPS, []params{
		{"RegionId", "cn-hangzhou", "DomainExtensionId", "$DOMAIN", "ServerCertificateId", "$SERVER"},
		{"RegionId", "cn-hangzhou", "DomainExtensionId", "de-none", "ServerCertificateId", "$SERVER"},
	}},
	{"DeleteDomainExtension", withHTTPS, []params{
		{"RegionId", "cn-hangzhou", "DomainExtensionId", "$DOMAIN"},
		{"RegionId", "cn-hangzhou", "DomainExtensionId", "de-none"},
	}},
	{"DescribeDomainExtensions", withHTTPS, []params{
		{"RegionId", "cn-hangzhou", "LoadBalancerId", "LB", "ListenerPort", "443"},
		{"RegionId", "cn-hangzhou", "LoadBalancerId", "LB", "ListenerPort", "443", "DomainExtensionId", "de-none"},
		{"RegionId", "cn-hangzhou", "LoadBalancerId", "LB", "ListenerPort", "80"},
	}},
	{"DescribeDomainExtensionAttribute", withHTTPS, []params{
		{"RegionId", "cn-hangzhou", "DomainExtensionId", "$DOMAIN"},
		{"RegionId", "cn-hangzhou", "DomainExtensionId", "de-none"},
	}},

	{"CreateTLSCipherPolicy", nil, []params{
		{"RegionId", "cn-hangzhou", "Name", "modern", "TLSVersions.1", "TLSv1.2", "TLSVersions.2", "TLSv1.3", "Ciphers.1", "ECDHE-RSA-AES128-GCM-SHA256", "Ciphers.2", "TLS_AES_128_GCM_SHA256"},
		{"RegionId", "cn-hangzhou", "Name", "modern", "TLSVersions.1", "TLSv1.1", "Ciphers.1", "ECDHE-RSA-AES128-GCM-SHA256"},
	}},
	{"SetTLSCipherPolicyAttribute", withPolicy, []params{
		{"RegionId", "cn-hangzhou", "TLSCipherPolicyId", "$POLICY", "Name", "older", "TLSVersions.1", "TLSv1.0", "Ciphers.1", "AES128-SHA"},
		{"RegionId", "cn-hangzhou", "TLSCipherPolicyId", "tls-none", "Name", "older", "TLSVersions.1", "TLSv1.0", "Ciphers.1", "AES128-SHA"},
	}},
	{"ListTLSCipherPolicies", withPolicy, []params{
		{"RegionId", "cn-hangzhou", "IncludeListener", "true"},
		{"RegionId", "cn-hangzhou", "TLSCipherPolicyId", "tls_cipher_policy_1_2"},
	}},
	{"DeleteTLSCipherPolicy", withPolicy, []params{
		{"RegionId", "cn-hangzhou", "TLSCipherPolicyId", "$POLICY"},
		{"RegionId", "cn-hangzhou", "TLSCipherPolicyId", "tls-none"},
	}},
}
