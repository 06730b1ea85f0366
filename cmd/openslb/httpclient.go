package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

// callTimeout bounds one call. The node itself waits at most some seconds for
// a change to reach the data plane.
const callTimeout = 60 * time.Second

// httpClient makes a client that also trusts the node's own CA, and that never
// goes through a proxy: a request to a local port would not arrive.
func httpClient(t target) (*http.Client, error) {
	transport := &http.Transport{Proxy: nil, DisableKeepAlives: true}
	if strings.HasPrefix(t.Endpoint, "https://") {
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		if t.CAFile != "" {
			pem, err := os.ReadFile(t.CAFile)
			if err != nil {
				return nil, fmt.Errorf("CA of the node: %w", err)
			}
			roots.AppendCertsFromPEM(pem)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	return &http.Client{Transport: transport, Timeout: callTimeout}, nil
}
