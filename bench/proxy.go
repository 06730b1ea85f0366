package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// proxy is one running candidate.
type proxy struct {
	name    string
	version string
	cmd     *exec.Cmd
	log     *logTail
	// http, https, tcp, bulk and udp are where it takes traffic for the backends of that
	// kind; logged is http with a log of each request in a file, serving that
	// with rules, and servingTLS that over HTTPS. An invalid address means that it
	// cannot.
	http, https, tcp, bulk, udp, logged, serving, servingTLS netip.AddrPort
	// profiler takes its profiles if they were asked for and it has any.
	profiler *profiler
	// atRest is the memory before any traffic, in bytes.
	atRest int64
}

func (p *proxy) cpu() cpuTimes          { return cpuTime(p.cmd.Process.Pid) }
func (p *proxy) memory() (int64, error) { return memoryOf(p.cmd.Process.Pid) }

func (p *proxy) stop() {
	if p.cmd != nil {
		end(p.cmd)
	}
}

// logTail keeps the end of what a proxy says, for the case that it does not
// start.
type logTail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logTail) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buf.Len() < 16<<10 {
		l.buf.Write(b)
	}
	return len(b), nil
}

func (l *logTail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(l.buf.String())
}

// errAbsent means that the program is not on this machine.
var errAbsent = errors.New("not installed")

// startProxy starts and sets up one candidate. A proxy may be returned together
// with an error; it must be stopped then, too.
func startProxy(ctx context.Context, s settings, name, dir string, b backendAddrs) (*proxy, error) {
	switch name {
	case "haproxy":
		return startHAProxy(ctx, s, dir, b)
	case "nginx":
		return startNginx(ctx, s, dir, b)
	case "openslb":
		return startOpenSLB(ctx, s, s.openslb, s.net.openslb, name, dir, b)
	case "before":
		return startOpenSLB(ctx, s, s.before, s.net.before, name, dir, b)
	default:
		return nil, fmt.Errorf("unknown proxy")
	}
}

// find looks a program up in PATH and where Debian keeps servers.
func find(name string) (string, error) {
	if p, err := exec.LookPath(name); err == nil {
		return p, nil
	}
	p := filepath.Join("/usr/sbin", name)
	if _, err := os.Stat(p); err != nil {
		return "", fmt.Errorf("%w (Debian: apt-get install %s)", errAbsent, name)
	}
	return p, nil
}

// freePorts returns ports of one address that were free a moment ago.
func freePorts(at host, addr netip.Addr, n int) (out []uint16, err error) {
	err = at.do(func() error {
		for range n {
			l, err := net.Listen("tcp", netip.AddrPortFrom(addr, 0).String())
			if err != nil {
				return err
			}
			defer l.Close()
			out = append(out, l.Addr().(*net.TCPAddr).AddrPort().Port())
		}
		return nil
	})
	return out, err
}

// launch starts the command on the proxy's core and waits until it accepts
// connections.
func launch(ctx context.Context, s settings, p *proxy, ready ...netip.AddrPort) error {
	p.log = &logTail{}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := s.net.proxy.do(func() error { return startPinned(p.cmd, s.proxyCPU) }); err != nil {
		p.cmd = nil
		return err
	}
	deadline := time.Now().Add(10 * time.Second)
	for _, addr := range ready {
		for {
			c, err := s.net.proxy.dial(ctx, "tcp", addr.String())
			if err == nil {
				c.Close()
				break
			}
			if time.Now().After(deadline) || ctx.Err() != nil {
				return fmt.Errorf("does not listen on %v; it says: %s", addr, p.log)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return nil
}

// version is the first line that a program prints about itself.
func version(path string, args ...string) string {
	out, _ := exec.Command(path, args...).CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}

const haproxyConfig = `global
    nbthread 1
    maxconn 9500
    maxpipes 64
    ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
    timeout connect 5s
    timeout client 900s
    timeout server 900s
    timeout http-keep-alive 900s
frontend web
    mode http
    bind %[1]s:%[2]d
    bind %[1]s:%[8]d ssl crt %[9]s alpn h2,http/1.1
    option forwardfor
    default_backend web
frontend logged
    mode http
    bind %[1]s:%[10]d
    %[12]s
    default_backend web
frontend serving
    mode http
    bind %[1]s:%[11]d
    bind %[1]s:%[14]d ssl crt %[9]s
    %[12]s
    use_backend %%[base,lower,map_beg(%[13]s,none)]
frontend echo
    mode tcp
    bind %[1]s:%[3]d
    default_backend echo
frontend bulk
    mode tcp
    bind %[1]s:%[4]d
    default_backend bulk
backend web
    mode http
    balance roundrobin
    http-reuse always
    option httpchk HEAD /
%[5]sbackend echo
    mode tcp
    balance roundrobin
%[6]sbackend bulk
    mode tcp
    balance roundrobin
    option splice-auto
%[7]s`

func startHAProxy(ctx context.Context, s settings, dir string, b backendAddrs) (*proxy, error) {
	path, err := find("haproxy")
	if err != nil {
		return nil, err
	}
	host := s.net.haproxy
	ports, err := freePorts(s.net.proxy, host, 7)
	if err != nil {
		return nil, err
	}
	servers := func(port uint16) string {
		var out strings.Builder
		for i, h := range b.Hosts {
			fmt.Fprintf(&out, "    server s%d %s:%d check inter 2s\n", i, h, port)
		}
		return out.String()
	}
	file, paths := filepath.Join(dir, "haproxy.cfg"), filepath.Join(dir, "haproxy.map")
	text := fmt.Sprintf(haproxyConfig, host, ports[0], ports[1], ports[2], servers(b.HTTP), servers(b.Echo), servers(b.Bulk), ports[3], s.certificate.file,
		ports[4], ports[5], haproxyLogged, paths, ports[6])
	if err := errors.Join(os.WriteFile(file, []byte(text), 0o600), os.WriteFile(paths, []byte(haproxyMap()), 0o600)); err != nil {
		return nil, err
	}
	requests, err := os.Create(filepath.Join(dir, "haproxy.log"))
	if err != nil {
		return nil, err
	}
	defer requests.Close()
	addr := host
	p := &proxy{
		name: "haproxy", version: version(path, "-v"),
		cmd:   exec.CommandContext(ctx, path, "-f", file, "-db"),
		http:  netip.AddrPortFrom(addr, ports[0]),
		https: netip.AddrPortFrom(addr, ports[3]),
		tcp:   netip.AddrPortFrom(addr, ports[1]),
		bulk:  netip.AddrPortFrom(addr, ports[2]),

		logged:     netip.AddrPortFrom(addr, ports[4]),
		serving:    netip.AddrPortFrom(addr, ports[5]),
		servingTLS: netip.AddrPortFrom(addr, ports[6]),
	}
	p.cmd.ExtraFiles = []*os.File{requests} // its descriptor 3
	return p, launch(ctx, s, p, p.http, p.https, p.tcp, p.bulk, p.logged, p.serving, p.servingTLS)
}

const nginxConfig = `%[1]sdaemon off;
pid %[2]s/nginx.pid;
error_log stderr crit;
worker_processes 1;
worker_rlimit_nofile 20000;
events { worker_connections 19000; }
http {
    access_log off;
    client_body_temp_path %[2]s/body;
    proxy_temp_path %[2]s/proxy;
    fastcgi_temp_path %[2]s/fastcgi;
    uwsgi_temp_path %[2]s/uwsgi;
    scgi_temp_path %[2]s/scgi;
    keepalive_timeout 900s;
    keepalive_requests 1000000;
    ssl_certificate %[8]s;
    ssl_certificate_key %[8]s;
    ssl_protocols TLSv1.3;
    ssl_session_cache shared:tls:8m;
    upstream web {
%[5]s        keepalive 128;
        keepalive_requests 1000000;
    }
    %[10]s
    server {
        listen %[3]s:%[9]d;
        access_log %[2]s/requests.log json buffer=64k flush=1s;
        location / {%[11]s}
    }
    server {
        listen %[3]s:%[4]d;
        listen %[3]s:%[7]d ssl http2;
        location / {%[11]s}
    }
%[12]s}
%[6]s`

const nginxStream = `stream {
    upstream echo {
%[4]s    }
    upstream bulk {
%[5]s    }
    server { listen %[1]s:%[2]d; proxy_pass echo; proxy_timeout 900s; }
    server { listen %[1]s:%[3]d; proxy_pass bulk; proxy_timeout 900s; }
    server { listen %[1]s:%[6]d udp; proxy_pass echo; proxy_timeout 90s; }
}
`

func startNginx(ctx context.Context, s settings, dir string, b backendAddrs) (*proxy, error) {
	path, err := find("nginx")
	if err != nil {
		return nil, err
	}
	host := s.net.nginx
	ports, err := freePorts(s.net.proxy, host, 8)
	if err != nil {
		return nil, err
	}
	servers := func(port uint16) string {
		var out strings.Builder
		for _, h := range b.Hosts {
			fmt.Fprintf(&out, "        server %s:%d;\n", h, port)
		}
		return out.String()
	}
	addr := host
	p := &proxy{name: "nginx", version: version(path, "-v"), http: netip.AddrPortFrom(addr, ports[0]), https: netip.AddrPortFrom(addr, ports[4]),
		logged: netip.AddrPortFrom(addr, ports[5]), serving: netip.AddrPortFrom(addr, ports[6]), servingTLS: netip.AddrPortFrom(addr, ports[7])}
	ready := []netip.AddrPort{p.http, p.https, p.logged, p.serving, p.servingTLS}
	load, stream := "", ""
	if module := streamModule(); module != "" {
		load = "load_module " + module + ";\n"
		stream = fmt.Sprintf(nginxStream, host, ports[1], ports[2], servers(b.Echo), servers(b.Bulk), ports[3])
		p.udp = netip.AddrPortFrom(addr, ports[3])
		p.tcp, p.bulk = netip.AddrPortFrom(addr, ports[1]), netip.AddrPortFrom(addr, ports[2])
		ready = append(ready, p.tcp, p.bulk)
	}
	if os.Geteuid() == 0 {
		load += "user root;\n" // the temporary directory is ours alone
	}
	file := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(nginxConfig, load, dir, host, ports[0], servers(b.HTTP), stream, ports[4], s.certificate.file, ports[5],
		nginxLogFormat, nginxForward, nginxRules(host.String(), ports[6], ports[7], filepath.Join(dir, "requests.log")))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	p.cmd = exec.CommandContext(ctx, path, "-p", dir, "-c", file, "-e", "stderr")
	return p, launch(ctx, s, p, ready...)
}

// streamModule finds nginx's TCP module, which Debian packages apart.
func streamModule() string {
	for _, dir := range []string{"/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/usr/share/nginx/modules"} {
		file := filepath.Join(dir, "ngx_stream_module.so")
		if _, err := os.Stat(file); err == nil {
			return file
		}
	}
	return ""
}
