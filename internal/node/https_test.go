package node

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/testutil"
)

// logged collects what a node logs.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// issued is a certificate with its key in PEM.
type issued struct {
	cert, key string
	x509      *x509.Certificate
	signer    *ecdsa.PrivateKey
}

func issue(t *testing.T, name string, parent *issued) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: parent == nil, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	issuer, by := c, key
	if parent != nil {
		issuer, by = parent.x509, parent.signer
	}
	der, err := x509.CreateCertificate(rand.Reader, c, issuer, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	armour := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return &issued{armour("CERTIFICATE", der), armour("EC PRIVATE KEY", keyDER), made, key}
}

// TestHTTPS follows a listener from upload to traffic: certificates by name and
// changed under load, client certificates, a restart; and no private key turns
// up in the log or in what is on disk.
func TestHTTPS(t *testing.T) {
	dir, log := t.TempDir(), &logged{}
	pool := testutil.AddressPool(t)
	cfg := Config{Data: dir, InternetPool: []netip.Prefix{pool}, Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	n := start(t, cfg)
	c := clientOf(n)
	do := func(action string, into any, p ...string) {
		t.Helper()
		params := map[string]string{"RegionId": n.Credentials().Region}
		for i := 0; i+1 < len(p); i += 2 {
			params[p[i]] = p[i+1]
		}
		if err := c.Do(t.Context(), action, params, into); err != nil {
			t.Fatal(err)
		}
	}
	server := testutil.HTTPServers(t, "i-1")[0]
	c.Version = "2026-11-01"
	do("RegisterServer", nil, "ServerId", "i-1", "Address.1", server.Addr().Addr().String())
	c = clientOf(n)
	var lb struct{ LoadBalancerId, Address string }
	do("CreateLoadBalancer", &lb)
	do("AddBackendServers", nil, "LoadBalancerId", lb.LoadBalancerId, "BackendServers", `["i-1"]`)
	root, first, second := issue(t, "root", nil), issue(t, "first", nil), issue(t, "second", nil)
	upload := func(i *issued) string {
		var out struct{ ServerCertificateId string }
		do("UploadServerCertificate", &out, "ServerCertificate", i.cert, "PrivateKey", i.key)
		return out.ServerCertificateId
	}
	firstID, secondID := upload(first), upload(second)
	var ca struct{ CACertificateId string }
	do("UploadCACertificate", &ca, "CACertificate", root.cert)
	addr := netip.MustParseAddr(lb.Address)
	port := strconv.Itoa(int(testutil.FreePort(t, addr)))
	listener := []string{"LoadBalancerId", lb.LoadBalancerId, "ListenerPort", port}
	do("CreateLoadBalancerHTTPSListener", nil, append(listener, "BackendServerPort", strconv.Itoa(int(server.Addr().Port())),
		"Bandwidth", "-1", "HealthCheck", "off", "ServerCertificateId", firstID)...)
	do("StartLoadBalancerListener", nil, listener...)
	do("CreateDomainExtension", nil, append(listener, "Domain", "*.example.com", "ServerCertificateId", secondID)...)

	at := net.JoinHostPort(lb.Address, port)
	// visit makes a request on a connection of its own and returns whose
	// certificate it saw.
	visit := func(name string, own *issued) (string, error) {
		settings := &tls.Config{InsecureSkipVerify: true, ServerName: name}
		if own != nil {
			pair, err := tls.X509KeyPair([]byte(own.cert), []byte(own.key))
			if err != nil {
				t.Fatal(err)
			}
			settings.Certificates = []tls.Certificate{pair}
		}
		transport := &http.Transport{TLSClientConfig: settings, DisableKeepAlives: true}
		defer transport.CloseIdleConnections()
		resp, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Get("https://" + at + "/")
		if err != nil {
			return "", err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return "", fmt.Errorf("%s", resp.Status)
		}
		return resp.TLS.PeerCertificates[0].Subject.CommonName, nil
	}
	expect := func(what, name string, own *issued, want string) {
		t.Helper()
		got, err := visit(name, own)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v; want %q", what, got, err, want)
		}
	}
	expect("default", "", nil, "first")
	expect("by name", "shop.example.com", nil, "second")
	expect("other name", "example.org", nil, "first")

	// Under load the certificate changes back and forth; no request fails.
	ctx, cancel := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for ctx.Err() == nil {
				if got, err := visit("", nil); err != nil || got != "first" && got != "second" {
					t.Errorf("during the change: %q, %v", got, err)
					return
				}
			}
		})
	}
	for i := range 10 {
		id, name := firstID, "first"
		if i%2 == 0 {
			id, name = secondID, "second"
		}
		do("SetLoadBalancerHTTPSListenerAttribute", nil, append(listener, "ServerCertificateId", id)...)
		expect("after the change", "", nil, name)
	}
	cancel()
	callers.Wait()

	do("SetLoadBalancerHTTPSListenerAttribute", nil, append(listener, "CACertificateId", ca.CACertificateId)...)
	expect("without a certificate", "", nil, "")
	expect("with a stranger's", "", issue(t, "mallory", nil), "")
	expect("with a good one", "", issue(t, "alice", root), "first")

	stop(t, n)
	n = start(t, cfg)
	c = clientOf(n)
	expect("after a restart", "", issue(t, "bob", root), "first")
	expect("after a restart, by name", "a.example.com", issue(t, "bob", root), "second")
	do("SetLoadBalancerHTTPSListenerAttribute", nil, append(listener, "CACertificateId", "", "TLSCipherPolicy", "tls_cipher_policy_1_2_strict_with_1_3")...)
	expect("open again", "", nil, "first")
	modern := new(http.Protocols)
	modern.SetHTTP2(true)
	two := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: modern, DisableKeepAlives: true}
	defer two.CloseIdleConnections()
	get := func() (*http.Response, error) {
		resp, err := (&http.Client{Transport: two, Timeout: 10 * time.Second}).Get("https://" + at + "/")
		if err == nil {
			resp.Body.Close()
		}
		return resp, err
	}
	if resp, err := get(); err != nil || resp.ProtoMajor != 2 || resp.StatusCode != 200 {
		t.Errorf("HTTP/2: %v, %v", resp, err)
	}
	// The sample servers do not speak HTTP/2.
	own := clientOf(n)
	own.Version = "2026-11-01"
	protocol := map[string]string{"RegionId": n.Credentials().Region, "LoadBalancerId": lb.LoadBalancerId, "ListenerPort": port, "BackendProtocol": "h2c"}
	if err := own.Do(t.Context(), "SetListenerBackendProtocol", protocol, nil); err != nil {
		t.Fatal(err)
	}
	if resp, err := get(); err != nil || resp.StatusCode != 502 {
		t.Errorf("HTTP/2 to a server that has none: %v, %v", resp, err)
	}
	protocol["BackendProtocol"] = "http"
	if err := own.Do(t.Context(), "SetListenerBackendProtocol", protocol, nil); err != nil {
		t.Fatal(err)
	}
	do("SetLoadBalancerHTTPSListenerAttribute", nil, append(listener, "EnableHttp2", "off")...)
	if _, err := get(); err == nil {
		t.Error("HTTP/2 although it is off")
	}
	if _, err := visit("", nil); err != nil {
		t.Error(err)
	}
	for _, action := range []string{"DescribeServerCertificates", "DescribeCACertificates", "DescribeLoadBalancerHTTPSListenerAttribute"} {
		body, err := c.Call(t.Context(), action, map[string]string{"RegionId": n.Credentials().Region, "LoadBalancerId": lb.LoadBalancerId, "ListenerPort": port})
		if err != nil || bytes.Contains(body, []byte("PRIVATE")) {
			t.Errorf("%s: %v, %s", action, err, body)
		}
	}
	do("DeleteLoadBalancer", nil, "LoadBalancerId", lb.LoadBalancerId)
	do("DeleteServerCertificate", nil, "ServerCertificateId", firstID)
	stop(t, n)

	// Neither the PEM nor the secret number in any form that its bytes may have.
	for _, i := range []*issued{first, second} {
		raw, err := i.signer.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		secrets := []string{i.key[40:90], base64.StdEncoding.EncodeToString(raw), fmt.Sprintf("%x", raw), string(raw)}
		for _, s := range secrets {
			if strings.Contains(log.text(), s) {
				t.Error("a private key is in the log")
			}
		}
		err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			for _, s := range secrets {
				if bytes.Contains(text, []byte(s)) {
					t.Errorf("a private key is in %s", path)
				}
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}
