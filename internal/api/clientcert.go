package api

import (
	"slices"
	"strings"

	"github.com/openslb/openslb/internal/slb"
)

// clientCertSettings are about the headers that tell servers of a client's
// certificate. No page describes the parameters, which the older SDK has; the
// headers are those of the vendor's sibling product. An empty alias takes an
// alias back.
type clientCertSettings struct {
	Verify           *slb.Switch `param:"XForwardedFor_ClientCertClientVerify"`
	VerifyAlias      *string     `param:"XForwardedFor_ClientCertClientVerifyAlias" allowempty:"true" maxlen:"40" pattern:"[0-9A-Za-z_-]*" form:"letters, digits, '_' and '-'"`
	Fingerprint      *slb.Switch `param:"XForwardedFor_ClientCertFingerprint"`
	FingerprintAlias *string     `param:"XForwardedFor_ClientCertFingerprintAlias" allowempty:"true" maxlen:"40" pattern:"[0-9A-Za-z_-]*" form:"letters, digits, '_' and '-'"`
	IssuerDN         *slb.Switch `param:"XForwardedFor_ClientCertIssuerDN"`
	IssuerDNAlias    *string     `param:"XForwardedFor_ClientCertIssuerDNAlias" allowempty:"true" maxlen:"40" pattern:"[0-9A-Za-z_-]*" form:"letters, digits, '_' and '-'"`
	SubjectDN        *slb.Switch `param:"XForwardedFor_ClientCertSubjectDN"`
	SubjectDNAlias   *string     `param:"XForwardedFor_ClientCertSubjectDNAlias" allowempty:"true" maxlen:"40" pattern:"[0-9A-Za-z_-]*" form:"letters, digits, '_' and '-'"`
}

func (p *clientCertSettings) apply(h *slb.ClientCertHeaders) error {
	var taken []string
	for _, s := range []struct {
		name string
		to   *slb.ClientCertHeader
		on   *slb.Switch
		as   *string
	}{
		{"ClientVerify", &h.ClientVerify, p.Verify, p.VerifyAlias}, {"Fingerprint", &h.Fingerprint, p.Fingerprint, p.FingerprintAlias},
		{"IssuerDN", &h.IssuerDN, p.IssuerDN, p.IssuerDNAlias}, {"SubjectDN", &h.SubjectDN, p.SubjectDN, p.SubjectDNAlias},
	} {
		set(&s.to.Switch, s.on)
		set(&s.to.Alias, s.as)
		name := strings.ReplaceAll(strings.ToLower(s.to.Alias), "_", "-")
		if name == "" {
			continue
		}
		if reservedHeader(name) || slices.Contains(taken, name) {
			return invalid("XForwardedFor_ClientCert"+s.name+"Alias", s.to.Alias, "a header that has no other meaning and is named once")
		}
		taken = append(taken, name)
	}
	return nil
}

// reservedHeader tells whether a header, in lower case with dashes alone, has a
// meaning that an alias must not take the place of.
func reservedHeader(name string) bool {
	switch name {
	case "host", "connection", "content-length", "content-type", "content-encoding", "transfer-encoding", "te", "trailer", "upgrade", "keep-alive", "expect",
		"cookie", "authorization", "x-real-ip", "forwarded", "via", "http2-settings":
		return true
	}
	for _, family := range []string{"proxy-", "slb-", "x-forwarded-", "sec-websocket-"} {
		if strings.HasPrefix(name, family) {
			return true
		}
	}
	return false
}

// clientCertOut is how answers tell of the headers.
type clientCertOut struct {
	Verify           string `out:"XForwardedFor_ClientCertClientVerify"`
	VerifyAlias      string `out:"XForwardedFor_ClientCertClientVerifyAlias,omitempty"`
	Fingerprint      string `out:"XForwardedFor_ClientCertFingerprint"`
	FingerprintAlias string `out:"XForwardedFor_ClientCertFingerprintAlias,omitempty"`
	IssuerDN         string `out:"XForwardedFor_ClientCertIssuerDN"`
	IssuerDNAlias    string `out:"XForwardedFor_ClientCertIssuerDNAlias,omitempty"`
	SubjectDN        string `out:"XForwardedFor_ClientCertSubjectDN"`
	SubjectDNAlias   string `out:"XForwardedFor_ClientCertSubjectDNAlias,omitempty"`
}

func clientCertOf(h *slb.ClientCertHeaders) clientCertOut {
	of := func(h *slb.ClientCertHeader) string { return string(slb.SwitchOf(h.Switch == slb.On)) }
	return clientCertOut{
		Verify: of(&h.ClientVerify), VerifyAlias: h.ClientVerify.Alias,
		Fingerprint: of(&h.Fingerprint), FingerprintAlias: h.Fingerprint.Alias,
		IssuerDN: of(&h.IssuerDN), IssuerDNAlias: h.IssuerDN.Alias,
		SubjectDN: of(&h.SubjectDN), SubjectDNAlias: h.SubjectDN.Alias,
	}
}
