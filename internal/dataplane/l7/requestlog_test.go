package l7

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/openslb/openslb/internal/accesslog"
	"github.com/openslb/openslb/internal/dataplane/l7/h1"
	"github.com/openslb/openslb/internal/dataplane/loop"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// loggedProxy is a proxy whose requests are logged.
type loggedProxy struct {
	*proxy
	file string
	read int // lines given by next
}

func newLoggedProxy(t testing.TB, o spec.HTTPOptions, targets ...spec.Target) *loggedProxy {
	dir := t.TempDir()
	w := accesslog.New(accesslog.Options{Dir: dir})
	t.Cleanup(w.Close) // after the proxy's
	p := newProxyWith(t, func(e *Options, f *spec.Frontend) {
		e.Logs = w
		f.AccessLog = &spec.AccessLog{Project: "p", Store: "s/1", Name: "the \"one\"", Region: "r", NetworkType: "classic"}
	}, nil, o, targets...)
	return &loggedProxy{proxy: p, file: filepath.Join(dir, "p", "s%2F1", "lb-1.log")}
}

// next waits for the next line.
func (p *loggedProxy) next() map[string]any {
	p.t.Helper()
	var lines []string
	eventually(p.t, "a line", func() bool {
		b, _ := os.ReadFile(p.file)
		lines = strings.SplitAfter(string(b), "\n")
		lines = lines[:len(lines)-1]
		return len(lines) > p.read
	})
	text := lines[p.read]
	p.read++
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		p.t.Fatalf("%q: %v", text, err)
	}
	for _, name := range []string{"slbid", "client_ip", "client_port", "request_method", "request_uri", "server_protocol", "scheme", "http_host", "host",
		"http_user_agent", "http_referer", "http_x_forwarded_for", "http_x_real_ip", "request_length", "body_bytes_sent", "request_time",
		"read_request_time", "write_response_time", "status", "upstream_status", "upstream_addr", "upstream_response_time", "slb_vport", "vip_addr",
		"ssl_protocol", "ssl_cipher", "tcpinfo_rtt", "time", "instance_id", "instance_name", "region", "network_type", "vpc_id"} {
		if v, ok := m[name]; !ok || v == "" {
			p.t.Errorf("%s is %v in %s", name, v, text)
		}
	}
	return m
}

// wantFields compares some fields, as text.
func wantFields(t testing.TB, got map[string]any, want map[string]string) {
	t.Helper()
	for name, w := range want {
		g := fmt.Sprint(got[name])
		if f, ok := got[name].(float64); ok {
			g = strconv.FormatFloat(f, 'f', -1, 64)
		}
		if g != w {
			t.Errorf("%s is %q, want %q", name, g, w)
		}
	}
}

func TestLog(t *testing.T) {
	b := answering(t, func(m *message) string { return ok("0123456789") })
	p := newLoggedProxy(t, spec.HTTPOptions{}, target(b))
	cl := p.dial()
	const get = "GET /a?b=%20c HTTP/1.1\r\nHost: a.example:80\r\nUser-Agent: x\"y\\\xff\r\nReferer: http://r/\r\nX-Forwarded-For: 1.1.1.1\r\nX-Real-IP: 2.2.2.2\r\nx-forwarded-for: 3.3.3.3\r\n\r\n"
	cl.send(get)
	cl.want(200, "0123456789")
	m := p.next()
	addr := cl.LocalAddr().(*net.TCPAddr)
	want := map[string]string{"slbid": "lb-1", "client_ip": "127.0.0.1", "client_port": strconv.Itoa(addr.Port), "request_method": "GET",
		"request_uri": "/a?b=%20c", "server_protocol": "HTTP/1.1", "http_host": "a.example:80", "host": "a.example:80", "http_user_agent": `x"y\\xff`, // its backslash, and ours

		"http_referer": "http://r/", "http_x_forwarded_for": "1.1.1.1, 3.3.3.3", "http_x_real_ip": "2.2.2.2", "request_length": strconv.Itoa(len(get)),
		"body_bytes_sent": "10", "status": "200", "upstream_status": "200", "upstream_addr": b.addr.String(), "scheme": "http", "slb_vport": "80",
		"vip_addr": "127.0.0.1", "ssl_protocol": "-", "ssl_cipher": "-", "instance_name": `the "one"`, "region": "r", "network_type": "classic", "vpc_id": "-"}
	if overTLS {
		want["scheme"], want["slb_vport"], want["ssl_protocol"], want["ssl_cipher"] = "https", "443", "TLSv1.3", fmt.Sprint(m["ssl_cipher"])
	}
	wantFields(t, m, want)
	if at, err := time.Parse(time.RFC3339Nano, m["time"].(string)); err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("time is %v", m["time"])
	}
	if rtt := m["tcpinfo_rtt"].(float64); rtt <= 0 || rtt > 1e6 {
		t.Errorf("tcpinfo_rtt is %v", rtt)
	}
	// The same connection, by HTTP/1.0's means: no host at all.
	cl.send("GET / HTTP/1.0\r\n\r\n")
	cl.want(200, "0123456789")
	wantFields(t, p.next(), map[string]string{"server_protocol": "HTTP/1.0", "http_host": "-", "host": "127.0.0.1", "http_user_agent": "-", "http_referer": "-",
		"http_x_forwarded_for": "-", "http_x_real_ip": "-", "status": "200"})
}

func TestLogAbsoluteTarget(t *testing.T) {
	b := answering(t, func(m *message) string { return ok("") })
	p := newLoggedProxy(t, spec.HTTPOptions{}, target(b))
	cl := p.dial()
	cl.send("GET http://a.example/x HTTP/1.1\r\nHost: a.example\r\n\r\n")
	cl.want(200, "")
	wantFields(t, p.next(), map[string]string{"request_uri": "http://a.example/x", "host": "a.example", "body_bytes_sent": "0"})
}

// TestLogInterim: what comes before the answer is no part of its body.
func TestLogInterim(t *testing.T) {
	b := answering(t, func(*message) string { return "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok("12345") })
	p := newLoggedProxy(t, spec.HTTPOptions{}, target(b))
	cl := p.dial()
	cl.send(simple)
	if head, err := readHead(cl.br); err != nil || !strings.Contains(head, " 103 ") {
		t.Fatalf("%q, %v", head, err)
	}
	cl.want(200, "12345")
	wantFields(t, p.next(), map[string]string{"status": "200", "body_bytes_sent": "5"})
}

// TestLogTimes: a slow head, a slow server, a slow body.
func TestLogTimes(t *testing.T) {
	const pause = 120 * time.Millisecond
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		if _, err := readMessage(br, false); err != nil {
			return
		}
		time.Sleep(pause)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
		time.Sleep(pause)
		io.WriteString(c, "cd")
	})
	p := newLoggedProxy(t, spec.HTTPOptions{}, target(b))
	cl := p.dial()
	cl.send("GET / HTTP/1.1\r\n")
	time.Sleep(pause)
	cl.send("Host: a\r\n\r\n")
	cl.want(200, "abcd")
	m := p.next()
	upstream, _ := strconv.ParseFloat(m["upstream_response_time"].(string), 64)
	for _, c := range []struct {
		name      string
		got, want float64 // seconds
	}{
		{"request_time", m["request_time"].(float64), 3 * pause.Seconds()}, {"read_request_time", m["read_request_time"].(float64) / 1000, pause.Seconds()},
		{"write_response_time", m["write_response_time"].(float64) / 1000, pause.Seconds()}, {"upstream_response_time", upstream, 2 * pause.Seconds()},
	} {
		if c.got < c.want*0.8 || c.got > c.want+5 {
			t.Errorf("%s is %v s, want %v", c.name, c.got, c.want)
		}
	}
	f := p.Facts()
	if n := f.ResponseTimes.Classes[len(f.ResponseTimes.Classes)-1]; f.ResponseTimes.Count != 1 || n != 0 || f.ResponseTimes.Classes[0] != 0 {
		t.Errorf("times %+v", f.ResponseTimes)
	}
}

// deadTarget is where nobody listens.
func deadTarget(t *testing.T, id string) spec.Target {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return spec.Target{ID: id, Addr: l.Addr().(*net.TCPAddr).AddrPort(), Weight: 100}
}

func TestLogTries(t *testing.T) {
	b := answering(t, func(m *message) string { return ok("x") })
	dead := deadTarget(t, "dead")
	p := newLoggedProxy(t, spec.HTTPOptions{}, dead, target(b))
	cl := p.dial()
	for range 2 { // one of two begins with the dead one
		cl.send(simple)
		cl.want(200, "x")
	}
	seen := map[string]bool{}
	for range 2 {
		m := p.next()
		seen[fmt.Sprint(m["upstream_addr"], "|", m["upstream_status"])] = true
		if n := strings.Count(m["upstream_response_time"].(string), ", "); n != strings.Count(m["upstream_addr"].(string), ", ") {
			t.Errorf("line %v", m)
		}
	}
	if !seen[dead.Addr.String()+", "+b.addr.String()+"|-, 200"] {
		t.Errorf("tries %v", seen)
	}
}

func TestLogRefusals(t *testing.T) {
	for _, c := range []struct {
		name, request string
		targets       []spec.Target
		redirect      bool
		want          map[string]string
	}{
		{"malformed", "GET /x HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n", nil, false, map[string]string{"status": "400", "request_method": "GET", "request_uri": "/x", "http_host": "a", "upstream_addr": "-", "upstream_status": "-", "upstream_response_time": "-"}},
		{"garbage", "\x01\x02\x03\r\n\r\n", nil, false, map[string]string{"status": "400", "request_method": "-", "request_uri": "-", "server_protocol": "-", "host": "-"}},
		{"trace", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", nil, false, map[string]string{"status": "405", "request_method": "TRACE"}},
		{"no server", simple, nil, false, map[string]string{"status": "503", "upstream_addr": "-"}},
		{"redirect", simple, nil, true, map[string]string{"status": "301", "upstream_addr": "-"}},
		{"unreachable", simple, []spec.Target{deadTarget(t, "a")}, false, map[string]string{"status": "502", "upstream_status": "-"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := spec.HTTPOptions{}
			if c.redirect {
				o.Redirect = &spec.Redirect{Port: 443, Code: 301}
			}
			p := newLoggedProxy(t, o, c.targets...)
			cl := p.dial()
			cl.send(c.request)
			m := cl.read()
			line := p.next()
			wantFields(t, line, c.want)
			wantFields(t, line, map[string]string{"body_bytes_sent": strconv.Itoa(len(m.body))})
		})
	}
}

func TestLogSlowHead(t *testing.T) {
	p := newLoggedProxy(t, spec.HTTPOptions{RequestTimeout: 200 * time.Millisecond})
	cl := p.dial()
	cl.send("GET /slow HTTP/1.1\r\nHost: a\r\n")
	cl.want(408, "*")
	wantFields(t, p.next(), map[string]string{"status": "408", "request_uri": "/slow", "http_host": "a", "host": "a"})
}

// TestLogBrokenOff: a client that ends within a head is told so and noted, one
// that ends behind the empty line that some send after a body is not.
func TestLogBrokenOff(t *testing.T) {
	b := answering(t, func(m *message) string { return ok("x") })
	p := newLoggedProxy(t, spec.HTTPOptions{}, target(b))
	cl := p.dial()
	cl.send("POST /whole HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
	cl.want(200, "x")
	cl.send("\r\n")
	cl.CloseWrite()
	cl.wantClosed()
	wantFields(t, p.next(), map[string]string{"status": "200", "request_uri": "/whole"})
	cl = p.dial()
	cl.send("GET /half HTTP/1.1\r\nHost: a\r\nX-")
	cl.CloseWrite()
	cl.want(400, "*")
	cl.wantClosed()
	wantFields(t, p.next(), map[string]string{"status": "400", "request_uri": "/half", "http_host": "a", "upstream_addr": "-"})
}

// TestLogSlowBody: 408 is ours, the server said nothing, and what came of the body
// counts.
func TestLogSlowBody(t *testing.T) {
	b := answering(t, func(m *message) string { return ok("") })
	p := newLoggedProxy(t, spec.HTTPOptions{RequestTimeout: 200 * time.Millisecond}, target(b))
	const head = "POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
	cl := p.dial()
	cl.send(head + "abc")
	cl.want(408, "*")
	want := map[string]string{"status": "408", "request_uri": "/slow", "upstream_status": "-", "upstream_addr": b.addr.String()}
	want["request_length"] = strconv.Itoa(len(head) + 3)
	line := p.next()
	wantFields(t, line, want)
	if ms := line["read_request_time"].(float64); ms < 150 {
		t.Errorf("read_request_time is %v ms", ms)
	}
	if !overTLS {
		return
	}
	p.enableHTTP2()
	r := p.dialHTTP2()
	r.ask(1, false, "POST", "a", "/slow")
	r.fr.WriteData(1, false, []byte("abc"))
	r.watchEnds(1)
	delete(want, "request_length")
	want["server_protocol"] = "HTTP/2.0"
	wantFields(t, p.next(), want)
}

func TestLogUpload(t *testing.T) {
	b := answering(t, func(m *message) string { return ok(strconv.Itoa(len(m.body))) })
	p := newLoggedProxy(t, spec.HTTPOptions{}, target(b))
	cl := p.dial()
	head := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n"
	cl.send(head)
	time.Sleep(60 * time.Millisecond)
	cl.send(strings.Repeat("x", 200000))
	cl.want(200, "200000")
	m := p.next()
	wantFields(t, m, map[string]string{"status": "200", "request_length": strconv.Itoa(len(head) + 200000), "body_bytes_sent": "6"})
	if ms := m["read_request_time"].(float64); ms < 40 {
		t.Errorf("read_request_time is %v ms", ms)
	}
	cl.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
	cl.want(400, "*")
	wantFields(t, p.next(), map[string]string{"status": "400", "upstream_addr": "-"})
}

func TestLogGzip(t *testing.T) {
	text := prose(50_000)
	b := answering(t, func(m *message) string { return page200("Content-Type: text/html\r\n", text) })
	p := newLoggedProxy(t, spec.HTTPOptions{Gzip: true}, target(b))
	cl := p.dial()
	for range 2 {
		cl.send(gzipGet)
		m := cl.read()
		if unzip(t, m) != text {
			t.Fatal("another body")
		}
		line := p.next()
		wantFields(t, line, map[string]string{"status": "200", "upstream_addr": b.addr.String()})
		if n := int(line["body_bytes_sent"].(float64)); n < len(m.body) || n > len(m.body)+200 {
			t.Errorf("body_bytes_sent is %d, the body has %d", n, len(m.body))
		}
		if s := line["request_time"].(float64); s > 30 {
			t.Errorf("request_time is %v", s)
		}
	}
}

// TestLogClientLeft: nobody was there to take the answer.
func TestLogClientLeft(t *testing.T) {
	asked, answer := make(chan bool, 1), make(chan bool)
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		if _, err := readMessage(br, false); err != nil {
			return
		}
		asked <- true
		<-answer
		io.WriteString(c, ok("late"))
	})
	p := newLoggedProxy(t, spec.HTTPOptions{}, target(b))
	cl := p.dial()
	cl.send(simple)
	<-asked
	cl.Conn.Close()
	time.Sleep(50 * time.Millisecond) // its end arrives
	answer <- true
	wantFields(t, p.next(), map[string]string{"status": "499", "upstream_status": "200"})
}

func TestLogTunnel(t *testing.T) {
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		if _, err := readMessage(br, true); err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		io.Copy(c, br)
	})
	p := newLoggedProxy(t, spec.HTTPOptions{}, target(b))
	cl := p.dial()
	cl.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	if _, err := readHead(cl.br); err != nil {
		t.Fatal(err)
	}
	cl.send("hello")
	got := make([]byte, 5)
	if _, err := io.ReadFull(cl.br, got); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(p.file); err == nil {
		t.Error("logged before the end")
	}
	cl.Close()
	wantFields(t, p.next(), map[string]string{"status": "101", "upstream_status": "101", "body_bytes_sent": "5", "request_uri": "/ws"})
}

// TestLogSwitch: logging begins and ends with the change, on open connections.
func TestLogSwitch(t *testing.T) {
	b := answering(t, func(m *message) string { return ok("x") })
	p := newLoggedProxy(t, spec.HTTPOptions{}, target(b))
	cl := p.dial()
	get := func(path string) {
		cl.send(strings.Replace(simple, "/ ", path+" ", 1))
		cl.want(200, "x")
	}
	on, off := p.f, p.f
	on.AccessLog = &spec.AccessLog{Project: "p", Store: "s/1"}
	off.AccessLog = nil
	p.Update(off, p.pool)
	get("/1")
	p.Update(on, p.pool)
	get("/2")
	p.Update(off, p.pool)
	get("/3")
	p.Update(on, p.pool)
	get("/4")
	for _, want := range []string{"/2", "/4"} {
		wantFields(t, p.next(), map[string]string{"request_uri": want})
	}
	if b, _ := os.ReadFile(p.file); bytes.Count(b, []byte("\n")) != 2 {
		t.Errorf("lines:\n%s", b)
	}
}

// TestLogHostile: whatever a client puts into a request, each line is one JSON
// object.
func TestLogHostile(t *testing.T) {
	b := answering(t, func(m *message) string { return ok("x") })
	p := newLoggedProxy(t, spec.HTTPOptions{}, target(b))
	var sent []string
	cl := p.dial()
	for i := 1; i < 256; i++ {
		if i < ' ' && i != '\t' || i == 0x7f {
			continue // refused
		}
		if i%60 == 0 {
			cl = p.dial()
		}
		value := "v" + string([]byte{byte(i)}) + "\"},{\"" + strings.Repeat(string([]byte{byte(i)}), 20) + "v"
		cl.send("GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: " + value + "\r\n\r\n")
		cl.want(200, "x")
		sent = append(sent, value)
	}
	got := map[string]bool{}
	for range sent {
		got[p.next()["http_user_agent"].(string)] = true
	}
	for _, value := range sent {
		if utf8.ValidString(value) && !got[value] {
			t.Errorf("%q is not there as it was", value)
		}
	}
}

// TestLogHTTP2: requests of HTTP/2 are logged as the others are.
func TestLogHTTP2(t *testing.T) {
	if !overTLS {
		return
	}
	text := prose(5000)
	b := answering(t, func(m *message) string {
		if strings.HasPrefix(m.line, "POST") {
			return ok(strconv.Itoa(len(m.body)))
		}
		return page200("Content-Type: text/html\r\n", text)
	})
	p := newLoggedProxy(t, spec.HTTPOptions{Gzip: true}, target(b))
	p.e.newTLS = func(spec.Frontend) (*tls.Config, error) {
		return &tls.Config{Certificates: testCertificates(), NextProtos: []string{"h2", "http/1.1"}}, nil
	}
	p.changeTLS()
	cl := p.http2Client()
	r := p.request("GET", "/a?b", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	r.Header.Set("User-Agent", "me")
	_, body := fetch(t, cl, r)
	line := p.next()
	wantFields(t, line, map[string]string{"server_protocol": "HTTP/2.0", "request_method": "GET", "request_uri": "/a?b", "http_user_agent": "me",
		"host": p.Addr().String(), "status": "200", "upstream_status": "200", "upstream_addr": b.addr.String(), "ssl_protocol": "TLSv1.3",
		"body_bytes_sent": strconv.Itoa(len(body))})
	if line["tcpinfo_rtt"].(float64) <= 0 || len(body) > 2500 {
		t.Errorf("line %v, body of %d bytes", line, len(body))
	}
	fetch(t, cl, p.request("POST", "/", io.MultiReader(strings.NewReader(strings.Repeat("x", 100_000)))))
	line = p.next()
	wantFields(t, line, map[string]string{"status": "200", "body_bytes_sent": "6"})
	if n := line["request_length"].(float64); n < 100_000 || n > 101_000 {
		t.Errorf("request_length is %v", n)
	}
}

// TestLogServerResets: a server of HTTP/2 that ends a stream without an answer is
// no client that has left, although the client gets no status.
func TestLogServerResets(t *testing.T) {
	if !overTLS {
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })}
	srv.Protocols.SetUnencryptedHTTP2(true)
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	p := newLoggedProxy(t, spec.HTTPOptions{ServersHTTP2: true}, spec.Target{ID: "s", Addr: netip.MustParseAddrPort(l.Addr().String()), Weight: 1})
	p.e.newTLS = func(spec.Frontend) (*tls.Config, error) {
		return &tls.Config{Certificates: testCertificates(), NextProtos: []string{"h2", "http/1.1"}}, nil
	}
	p.changeTLS()
	if resp, err := p.http2Client().Do(p.request("GET", "/", nil)); err == nil {
		t.Errorf("an answer of status %d", resp.StatusCode)
		resp.Body.Close()
	}
	wantFields(t, p.next(), map[string]string{"status": "502", "upstream_status": "-", "upstream_addr": l.Addr().String(), "body_bytes_sent": "0"})
}

// BenchmarkRequestLine is what the log costs a request, but for the disk.
func BenchmarkRequestLine(b *testing.B) {
	dir := b.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "p", "s"), 0o700); err != nil {
		b.Fatal(err)
	}
	if err := os.Symlink(os.DevNull, filepath.Join(dir, "p", "s", "lb-1.log")); err != nil {
		b.Fatal(err)
	}
	w := accesslog.New(accesslog.Options{Dir: dir, MaxSize: 1 << 60})
	defer w.Close()
	l := newRequestLog(w, &spec.Frontend{ID: spec.FrontendID{Instance: "lb-1", Protocol: spec.HTTP, Port: 80}, Listen: netip.MustParseAddrPort("127.0.0.1:80"), AccessLog: &spec.AccessLog{Project: "p", Store: "s"}})
	in := []byte("GET /some/path?with=query HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\nReferer: http://www.example.com/\r\nAccept: */*\r\n\r\n")
	var req h1.Request
	req.Reset()
	if done, err := req.Parse(in); !done || err != nil {
		b.Fatal(done, err)
	}
	server, client := netip.MustParseAddrPort("10.1.2.3:8080"), netip.MustParseAddrPort("10.9.8.7:54321")
	var r record
	b.ReportAllocs()
	for b.Loop() {
		now := loop.Clock()
		r.begin(now, now, int64(len(in)))
		var q logged
		describe(&q, &req, in)
		l.begin(&r, client, &q)
		r.try(server, now, nil)
		r.passed(200, 120, now)
		r.endTry(now)
		l.write(0, &r, now)
	}
}
