package l7

import (
	"crypto/tls"
	"testing"
)

func TestTLSNames(t *testing.T) {
	for _, c := range []struct {
		version, suite   uint16
		protocol, cipher string
	}{
		{tls.VersionTLS10, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA, "TLSv1", "DES-CBC3-SHA"},
		{tls.VersionTLS11, tls.TLS_RSA_WITH_AES_128_CBC_SHA, "TLSv1.1", "AES128-SHA"},
		{tls.VersionTLS12, tls.TLS_RSA_WITH_AES_256_GCM_SHA384, "TLSv1.2", "AES256-GCM-SHA384"},
		{tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256, "TLSv1.2", "ECDHE-RSA-AES128-SHA256"},
		{tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"},
		{tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, "TLSv1.2", "ECDHE-RSA-AES256-SHA"},
		{tls.VersionTLS13, tls.TLS_CHACHA20_POLY1305_SHA256, "TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256"},
	} {
		if p, n := tlsNames(c.version, c.suite); p != c.protocol || n != c.cipher {
			t.Errorf("%x, %x: %s, %s", c.version, c.suite, p, n)
		}
	}
}
