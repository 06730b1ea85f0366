package plan

import (
	"cmp"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/slb"
)

// clientCert names the headers about client certificates, which have their usual
// names unless the listener names them itself.
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
	h, usual := &l.HTTPS.ClientCert, &spec.UsualClientCertHeaders
	return spec.ClientCertHeaders{
		Subject:     name(h.SubjectDN, usual.Subject),
		Issuer:      name(h.IssuerDN, usual.Issuer),
		Fingerprint: name(h.Fingerprint, usual.Fingerprint),
		Verify:      name(h.ClientVerify, usual.Verify),
	}
}
