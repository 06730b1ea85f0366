package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/slb"
)

// TestQuirk32CertificateSpelling: wrong for ever.
func TestQuirk32CertificateSpelling(t *testing.T) {
	for _, err := range []*slb.Error{slb.ErrServerCertificateUsed, slb.ErrCACertificateUsed} {
		if err.Code != "CertificateAndPrivateKeyIsRefered" {
			t.Error(err)
		}
	}
	if !strings.HasPrefix(slb.ErrPrivateKeyEncrypted.Message, "Key has Encrypted") {
		t.Error(slb.ErrPrivateKeyEncrypted)
	}
}

// TestQuirk33And34Policies: RelateListeners with Port, and MaxItems.
func TestQuirk33And34Policies(t *testing.T) {
	w := newWorld(t)
	lb := withPolicy(w)
	list := func(p ...string) answer {
		return w.ok("ListTLSCipherPolicies", append([]string{"RegionId", "cn-hangzhou", "MaxItems", "1"}, p...)...)
	}
	if got := fmt.Sprint(list("IncludeListener", "true").at(t, "TLSCipherPolicies", 0, "RelateListeners")); got != fmt.Sprintf("[map[LoadBalancerId:%s Port:443 Protocol:https]]", lb) {
		t.Error(got)
	}
	if got := fmt.Sprint(list().at(t, "TLSCipherPolicies", 0, "RelateListeners")); got != "[]" {
		t.Error(got)
	}
}

// TestQuirk87Certificates: no paging, no key material, unknown ids are an empty
// list, IsAliCloudCertificate is a number, ids are opaque and distinct.
func TestQuirk87Certificates(t *testing.T) {
	w := newWorld(t)
	p := certified(t, "p256")
	ids := map[string]bool{}
	for range 60 {
		ids[w.upload(p)] = true
	}
	a := w.ok("DescribeServerCertificates", "RegionId", "cn-hangzhou", "PageSize", "10", "MaxResults", "10")
	list := a.at(t, "ServerCertificates", "ServerCertificate").([]any)
	if len(list) != 60 || len(ids) != 60 {
		t.Errorf("%d in the list, %d ids", len(list), len(ids))
	}
	if _, number := a.at(t, "ServerCertificates", "ServerCertificate", 0, "IsAliCloudCertificate").(float64); !number {
		t.Error("IsAliCloudCertificate is no number")
	}
	for _, format := range []string{"XML", "JSON"} {
		_, body := w.send(format, "DescribeServerCertificates", params{"RegionId", "cn-hangzhou"})
		if strings.Contains(body, "BEGIN") || strings.Contains(body, "Sealed") {
			t.Error("key material in the answer")
		}
	}
	for list, path := range map[string][]any{
		"DescribeServerCertificates": {"ServerCertificates", "ServerCertificate"},
		"DescribeCACertificates":     {"CACertificates", "CACertificate"},
	} {
		l, ok := w.ok(list, "RegionId", "cn-hangzhou", "ServerCertificateId", "none", "CACertificateId", "none").at(t, path...).([]any)
		if !ok || len(l) != 0 {
			t.Errorf("%s of nobody: %v", list, l)
		}
	}
}

// TestQuirk88CAFieldNames: the fields of CA certificates begin with CACertificate.
func TestQuirk88CAFieldNames(t *testing.T) {
	w := newWorld(t)
	a := w.ok("UploadCACertificate", "RegionId", "cn-hangzhou", "CACertificate", certified(t, "rsa2048").cert, "CACertificateName", "staff")
	var names []string
	for name := range a {
		names = append(names, name)
	}
	slices.Sort(names)
	want := "CACertificateId CACertificateName CommonName CreateTime CreateTimeStamp ExpireTime ExpireTimeStamp Fingerprint RequestId ResourceGroupId"
	if got := strings.Join(names, " "); got != want {
		t.Error(got)
	}
}

// TestQuirk89InUse: each of the two texts where it is documented.
func TestQuirk89InUse(t *testing.T) {
	w := newWorld(t)
	lb := withHTTPS(w)
	w.ok("SetLoadBalancerHTTPSListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "443", "CACertificateId", w.fill("$CA", lb))
	_, a := w.try("DeleteServerCertificate", "ServerCertificateId", w.fill("$SERVER", lb))
	if a["Code"] != "CertificateAndPrivateKeyIsRefered" || a["Message"] != "The specified certificate is bound to listeners. You cannot delete it." {
		t.Error(a)
	}
	_, a = w.try("DeleteCACertificate", "RegionId", "cn-hangzhou", "CACertificateId", w.fill("$CA", lb))
	if a["Code"] != "CertificateAndPrivateKeyIsRefered" || a["Message"] != "Certificate and PrivateKey Is Refered." {
		t.Error(a)
	}
}

// TestQuirk90CATagKeys: tag keys of CA certificates may be twice as long.
func TestQuirk90CATagKeys(t *testing.T) {
	w := newWorld(t)
	key := strings.Repeat("k", 128)
	w.uploadCA(certified(t, "p256"), "Tag.1.Key", key)
	if got := w.ok("DescribeCACertificates", "RegionId", "cn-hangzhou", "Tag.1.Key", key).text(t, "CACertificates", "CACertificate", 0, "Tags", "Tag", 0, "TagKey"); got != key {
		t.Error(got)
	}
}

// TestQuirk95Truncated: true when more follows.
func TestQuirk95Truncated(t *testing.T) {
	w := newWorld(t)
	w.policy("a1")
	w.policy("a2")
	a := w.ok("ListTLSCipherPolicies", "RegionId", "cn-hangzhou", "MaxItems", "1")
	if a.at(t, "IsTruncated") != true || a.at(t, "TotalCount") != 2.0 {
		t.Error(a)
	}
	a = w.ok("ListTLSCipherPolicies", "RegionId", "cn-hangzhou", "MaxItems", "1", "NextToken", a.text(t, "NextToken"))
	if _, more := a["NextToken"]; more || a.at(t, "IsTruncated") != false {
		t.Error(a)
	}
}

// TestQuirk96Policies: 200 characters on create, ciphers that fit one of the
// versions, and both kinds of policies in one parameter of the listener.
func TestQuirk96Policies(t *testing.T) {
	w := newWorld(t)
	lb := withHTTPS(w)
	long := strings.Repeat("n", 200)
	id := w.policy(long)
	if got := w.ok("ListTLSCipherPolicies", "RegionId", "cn-hangzhou", "Name", long).text(t, "TLSCipherPolicies", 0, "Name"); got != long {
		t.Error(got)
	}
	for _, policy := range []string{"tls_cipher_policy_1_0", "tls_cipher_policy_1_1", "tls_cipher_policy_1_2", "tls_cipher_policy_1_2_strict", "tls_cipher_policy_1_2_strict_with_1_3", id} {
		w.ok("SetLoadBalancerHTTPSListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "443", "TLSCipherPolicy", policy)
		if got := w.ok("DescribeLoadBalancerHTTPSListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "443").text(t, "TLSCipherPolicy"); got != policy {
			t.Errorf("%s, want %s", got, policy)
		}
	}
}
