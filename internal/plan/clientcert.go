package plan

import (
	"cmp"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/slb"
)

// clientCert names the headers about client certificates, which are called as
// those of the vendor's sibling product unless the listener names them itself.
func clientCert(l *slb.Listener) spec.ClientCertHeaders {
	if l.HTTPS == nil {
		return spec.ClientCertHeaders{}
	}
	name := func(h slb.ClientCertHeader, usual string) string {
		if h.Switch != slb.On {
			return ""
		}
		return cmp.Or(h.Alias, usual)
	}
	h := &l.HTTPS.ClientCert
	return spec.ClientCertHeaders{
		Subject:     name(h.SubjectDN, "X-Forwarded-Clientcert-subjectdn"),
		Issuer:      name(h.IssuerDN, "X-Forwarded-Clientcert-issuerdn"),
		Fingerprint: name(h.Fingerprint, "X-Forwarded-Clientcert-fingerprint"),
		Verify:      name(h.ClientVerify, "X-Forwarded-Clientcert-clientverify"),
	}
}
