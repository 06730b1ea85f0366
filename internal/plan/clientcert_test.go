package plan

import (
	"testing"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/slb"
)

func TestClientCert(t *testing.T) {
	l := slb.NewHTTPSListener("lb", 443)
	if got := clientCert(l); got != (spec.ClientCertHeaders{}) {
		t.Errorf("sent without having been asked for: %+v", got)
	}
	l.HTTPS.ClientCert = slb.ClientCertHeaders{SubjectDN: slb.ClientCertHeader{Switch: slb.On}, IssuerDN: slb.ClientCertHeader{Switch: slb.Off, Alias: "a"},
		Fingerprint: slb.ClientCertHeader{Switch: slb.On, Alias: "b"}}
	if got, want := clientCert(l), (spec.ClientCertHeaders{Subject: "X-Forwarded-Clientcert-subjectdn", Fingerprint: "b"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := clientCert(slb.NewHTTPListener("lb", 80)); got != (spec.ClientCertHeaders{}) {
		t.Errorf("of HTTP: %+v", got)
	}
}
