package l7

import (
	"crypto/tls"
	"os/exec"
	"strconv"
	"testing"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/testutil"
)

// newHTTP2Proxy is newSecureProxy with HTTP/2.
func newHTTP2Proxy(t testing.TB, o spec.HTTPOptions, targets ...spec.Target) *proxy {
	t.Helper()
	p := newSecureProxy(t, o, targets...)
	p.enableHTTP2()
	return p
}

// enableHTTP2 has an HTTPS proxy offer it.
func (p *proxy) enableHTTP2() {
	p.e.newTLS = func(spec.Frontend) (*tls.Config, error) {
		return &tls.Config{Certificates: testCertificates(), NextProtos: []string{"h2", "http/1.1"}}, nil
	}
	p.changeTLS()
}

// TestH2spec runs the conformance suite h2spec.
func TestH2spec(t *testing.T) {
	if !overTLS {
		return // once is enough
	}
	tool := testutil.Tool(t, "h2spec")
	b := answering(t, func(m *message) string { return ok("hello") })
	p := newHTTP2Proxy(t, spec.HTTPOptions{}, target(b))
	out, err := exec.CommandContext(t.Context(), tool, "--strict", "--tls", "--insecure", "--timeout", "5",
		"--host", "127.0.0.1", "--port", strconv.Itoa(int(p.Addr().Port()))).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%s", out[max(0, len(out)-200):])
}
