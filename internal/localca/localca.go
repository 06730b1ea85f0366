// Package localca keeps a private certificate authority and one server
// certificate in a directory, so that a node can offer TLS from its first
// start. It is no public key infrastructure: one authority, one server, for
// people and programs who are handed ca.pem.
package localca

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The files in the directory. Key files have mode 0600.
const (
	caFile        = "ca.pem"
	caKeyFile     = "ca-key.pem"
	serverFile    = "server.pem"
	serverKeyFile = "server-key.pem"
)

const (
	caLifetime     = 10 * 365 * 24 * time.Hour
	serverLifetime = 365 * 24 * time.Hour
	// renewBefore is how long before its end a certificate is replaced.
	renewBefore = 30 * 24 * time.Hour
	// backdate lets clients in whose clock is a little behind.
	backdate = time.Hour
)

// ensure returns a server certificate for localhost, 127.0.0.1, ::1 and the
// given host names and IP addresses, and the path of the authority's
// certificate. Whatever is missing in dir is made, dir included. The server
// certificate is replaced 30 days before its end and when the names change;
// the authority, which clients have to be given anew then, only 30 days before
// its end, ten years after it was made.
//
// It does not touch an authority that it cannot read, but fails.
func ensure(dir string, names []string, now time.Time) (cert tls.Certificate, ca string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return cert, "", fmt.Errorf("make the certificate directory: %w", err)
	}
	ca = filepath.Join(dir, caFile)
	authority, err := loadAuthority(dir, now)
	if err != nil {
		return cert, "", err
	}
	dnsNames, addresses, err := subjects(names)
	if err != nil {
		return cert, "", err
	}
	if cert, ok := loadServer(dir, authority, dnsNames, addresses, now); ok {
		return cert, ca, nil
	}
	if cert, err = issue(dir, authority, dnsNames, addresses, now); err != nil {
		return cert, "", err
	}
	return cert, ca, nil
}

// loadAuthority reads the authority's certificate, or makes an authority when
// there is none or its end is near.
func loadAuthority(dir string, now time.Time) (*x509.Certificate, error) {
	path := filepath.Join(dir, caFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeAuthority(dir, now)
	}
	if err != nil {
		return nil, fmt.Errorf("read the certificate authority: %w", err)
	}
	authority, err := parseCertificate(text)
	if err != nil {
		return nil, fmt.Errorf("certificate authority %s: %w; remove it together with %s to have a new one made", path, err, caKeyFile)
	}
	if !authority.IsCA {
		return nil, fmt.Errorf("certificate authority %s: not the certificate of an authority", path)
	}
	if now.Add(renewBefore).After(authority.NotAfter) {
		return makeAuthority(dir, now)
	}
	return authority, nil
}

// loadServer returns the server certificate on disk if it may still be used.
// Anything wrong with it means "make another": it holds nothing of value.
func loadServer(dir string, authority *x509.Certificate, dnsNames []string, addresses []net.IP, now time.Time) (tls.Certificate, bool) {
	keyPath := filepath.Join(dir, serverKeyFile)
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, serverFile), keyPath)
	if err != nil {
		return cert, false
	}
	leaf := cert.Leaf
	if now.Before(leaf.NotBefore) || now.Add(renewBefore).After(leaf.NotAfter) || leaf.CheckSignatureFrom(authority) != nil ||
		!slices.Equal(leaf.DNSNames, dnsNames) || !slices.EqualFunc(leaf.IPAddresses, addresses, net.IP.Equal) {
		return cert, false
	}
	if info, err := os.Stat(keyPath); err != nil || info.Mode().Perm() != 0o600 {
		return cert, false // others may have read the key
	}
	return cert, true
}

// CheckName tells whether a certificate can be made for the name, which is a host
// name or an IP address.
func CheckName(name string) error {
	_, _, err := subjects([]string{name})
	return err
}

// subjects sorts names into host names and addresses, each once and in order.
func subjects(names []string) (dnsNames []string, addresses []net.IP, err error) {
	for _, name := range append([]string{"localhost", "127.0.0.1", "::1"}, names...) {
		name = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(name), "."))
		if name == "" {
			continue
		}
		if ip := net.ParseIP(strings.Trim(name, "[]")); ip != nil {
			addresses = append(addresses, ip)
			continue
		}
		if strings.ContainsAny(strings.TrimPrefix(name, "*."), " /:@*") || !isASCII(name) {
			return nil, nil, fmt.Errorf("%q is neither a host name nor an IP address that a certificate could be for", name)
		}
		dnsNames = append(dnsNames, name)
	}
	slices.Sort(dnsNames)
	slices.SortFunc(addresses, func(a, b net.IP) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(dnsNames), slices.CompactFunc(addresses, net.IP.Equal), nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
