package l7

import (
	"crypto/tls"
	"strings"
)

// tlsNames are what the log calls a version and a suite: the names that the
// vendor's engines use, which those of package tls only resemble.
func tlsNames(version, suite uint16) (protocol, cipher string) {
	protocol = strings.Replace(tls.VersionName(version), "TLS ", "TLSv", 1)
	if version == tls.VersionTLS10 {
		protocol = "TLSv1"
	}
	cipher = tls.CipherSuiteName(suite)
	if version >= tls.VersionTLS13 {
		return protocol, cipher // both say the same
	}
	cipher = strings.TrimPrefix(strings.TrimPrefix(cipher, "TLS_"), "RSA_WITH_")
	return protocol, suiteNames.Replace(cipher)
}

// suiteNames changes the spelling; of several that fit, the first counts.
var suiteNames = strings.NewReplacer("3DES_EDE_CBC", "DES-CBC3", "WITH_", "", "AES_", "AES", "_CBC", "", "_", "-")
