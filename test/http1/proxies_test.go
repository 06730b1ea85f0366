package http1

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/l7"
	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/testutil"
)

// proxy is something that forwards to the recorder.
type proxy struct {
	name   string
	addr   netip.AddrPort
	secure bool // it speaks TLS
}

// stream is a connection that can end in one direction.
type stream interface {
	net.Conn
	CloseWrite() error
}

// dial connects to the proxy, over TLS with the given protocols of applications.
func (p *proxy) dial(protocols ...string) (stream, error) {
	c, err := net.Dial("tcp", p.addr.String())
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(patience))
	if !p.secure {
		return c.(*net.TCPConn), nil
	}
	// The session of the connection before, and a simple curve, make the handshake
	// cheap.
	s := tls.Client(c, &tls.Config{InsecureSkipVerify: true, ServerName: "a.test", ClientSessionCache: sessions, CurvePreferences: []tls.CurveID{tls.X25519}, NextProtos: protocols})
	if err := s.Handshake(); err != nil {
		c.Close()
		return nil, err
	}
	return s, nil
}

var sessions = tls.NewLRUClientSessionCache(1)

// way is how requests come to OpenSLB.
type way struct {
	name     string
	driver   l7.Driver
	protocol spec.Protocol
}

// ways are all there are: TLS is served by goroutines.
var ways = []way{{"goroutines", l7.Goroutines, spec.HTTP}, {"loops", l7.Loops, spec.HTTP}, {"TLS", l7.Goroutines, spec.HTTPS}}

// openSLB starts a frontend of the product.
func openSLB(t testing.TB, w way, to netip.AddrPort) *proxy {
	t.Helper()
	chain, key := testutil.SelfSigned(t, "a.test")
	certificate, err := tls.X509KeyPair([]byte(chain), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	e := l7.NewEngine(l7.Options{Driver: w.driver, Loops: 2, TLS: func(spec.Frontend) (*tls.Config, error) {
		return &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2", "http/1.1"}}, nil
	}})
	p := pool.NewStatic(spec.Target{ID: "recorder", Addr: to, Weight: 100})
	h, err := e.NewHTTP(spec.Frontend{
		ID:     spec.FrontendID{Instance: "lb-1", Protocol: w.protocol, Port: 80},
		Listen: netip.MustParseAddrPort("127.0.0.1:0"),
		HTTP:   &spec.HTTPOptions{},
	}, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		h.Close(ctx)
		e.Close()
		p.Close()
	})
	return &proxy{name: w.name, addr: h.Addr(), secure: w.protocol == spec.HTTPS}
}

const nginxText = `%[1]sdaemon off;
master_process off;
pid %[2]s/nginx.pid;
error_log stderr crit;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path %[2]s/body;
    proxy_temp_path %[2]s/proxy;
    fastcgi_temp_path %[2]s/fastcgi;
    uwsgi_temp_path %[2]s/uwsgi;
    scgi_temp_path %[2]s/scgi;
    client_header_timeout 500ms;
    client_body_timeout 500ms;
    large_client_header_buffers 4 40k;
    proxy_request_buffering off;
    proxy_read_timeout 500ms;
    lingering_close off;
    server {
        listen %[3]s;
        location / {
            proxy_pass http://%[4]s;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
        }
    }
}
`

// startNginx starts nginx, as the test's own process.
func startNginx(t testing.TB, to netip.AddrPort) *proxy {
	t.Helper()
	path, dir, addr := testutil.Tool(t, "nginx"), t.TempDir(), freeAddr(t)
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;\n" // the temporary directory is ours alone
	}
	conf := write(t, dir, "nginx.conf", fmt.Sprintf(nginxText, user, dir, addr, to))
	return launch(t, "nginx", addr, exec.Command(path, "-p", dir, "-c", conf, "-e", "stderr"))
}

const haproxyText = `global
    maxconn 256
    tune.bufsize 81920
    tune.maxrewrite 1024
defaults
    mode http
    timeout connect 2s
    timeout client 500ms
    timeout server 500ms
    timeout http-request 500ms
frontend web
    bind %[1]s
    option http-server-close
    default_backend web
backend web
    server s %[2]s
`

// startHAProxy starts HAProxy, as the test's own process.
func startHAProxy(t testing.TB, to netip.AddrPort) *proxy {
	t.Helper()
	path, dir, addr := testutil.Tool(t, "haproxy"), t.TempDir(), freeAddr(t)
	conf := write(t, dir, "haproxy.cfg", fmt.Sprintf(haproxyText, addr, to))
	return launch(t, "haproxy", addr, exec.Command(path, "-f", conf, "-db"))
}

func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func freeAddr(t testing.TB) netip.AddrPort {
	ip := netip.MustParseAddr("127.0.0.1")
	return netip.AddrPortFrom(ip, testutil.FreePort(t, ip))
}

// launch starts a program that accepts connections at addr and ends with the
// test.
func launch(t testing.TB, name string, addr netip.AddrPort, cmd *exec.Cmd) *proxy {
	t.Helper()
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // "killed"
	})
	testutil.Eventually(t, patience, name+" accepts connections", func() bool {
		c, err := net.Dial("tcp", addr.String())
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return &proxy{name: name, addr: addr}
}
