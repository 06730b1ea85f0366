package l4

import (
	"encoding/json"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/accesslog"
	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// logLine is a line of the log of connections.
type logLine struct {
	SLBID    string  `json:"slbid"`
	Protocol string  `json:"protocol"`
	VIP      string  `json:"vip_addr"`
	Port     int     `json:"slb_vport"`
	Client   string  `json:"client_ip"`
	CPort    uint16  `json:"client_port"`
	Server   string  `json:"upstream_addr"`
	Time     string  `json:"time"`
	In       int     `json:"bytes_received"`
	Out      int     `json:"bytes_sent"`
	Duration float64 `json:"duration"`
	End      string  `json:"end"`
}

// connectionLogs starts a writer and gives what reads the line of a client's
// address, waiting for it. The writer is to be closed after all frontends.
func connectionLogs(t *testing.T) (*accesslog.Writer, func(client netip.AddrPort) logLine) {
	t.Helper()
	dir := t.TempDir()
	w := accesslog.New(accesslog.Options{Dir: dir})
	return w, func(client netip.AddrPort) (found logLine) {
		t.Helper()
		eventually(t, "a line about "+client.String(), func() bool {
			text, _ := os.ReadFile(filepath.Join(dir, "lb-test.log"))
			for line := range strings.Lines(string(text)) {
				var l logLine
				if !strings.HasSuffix(line, "\n") {
					break // being written
				}
				if err := json.Unmarshal([]byte(line), &l); err != nil {
					t.Fatalf("%s: %v", line, err)
				}
				if l.Client == client.Addr().String() && l.CPort == client.Port() {
					found = l
					return true
				}
			}
			return false
		})
		return found
	}
}

// freeAddr is an address that nobody used a moment ago.
func freeAddr(t *testing.T) netip.AddrPort {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func clientAddr(c net.Conn) netip.AddrPort {
	return netip.MustParseAddrPort(c.LocalAddr().String())
}

// TestConnectionLog: a line for each end that a connection can have.
func TestConnectionLog(t *testing.T) {
	w, lineOf := connectionLogs(t)
	e := newEngine(t, Options{Log: w, ConnectTimeout: time.Second})
	t.Cleanup(w.Close)
	answers := server(t, echo)
	resets := server(t, func(c *net.TCPConn) {
		io.ReadFull(c, make([]byte, 1))
		c.SetLinger(0)
	})
	const big = 3 << 20 // through a pipe as well
	for _, tc := range []struct {
		name    string
		o       spec.TCPOptions
		pool    *pool.Pool
		server  string
		use     func(t *testing.T, f *TCP, c *net.TCPConn)
		in, out int
		end     string
	}{
		{"in order", spec.TCPOptions{}, pool.NewStatic(target("a", answers)), answers.String(), func(t *testing.T, _ *TCP, c *net.TCPConn) {
			go func() {
				c.Write(make([]byte, big))
				c.CloseWrite()
			}()
			io.Copy(io.Discard, onlyReader{c})
		}, big, big, "closed"},
		{"idle", spec.TCPOptions{IdleTimeout: 200 * time.Millisecond}, pool.NewStatic(target("a", answers)), answers.String(), func(t *testing.T, _ *TCP, c *net.TCPConn) {
			io.WriteString(c, "ping")
			io.ReadFull(c, make([]byte, 4))
			c.Read(make([]byte, 1))
		}, 4, 4, "idle_timeout"},
		{"reset by the client", spec.TCPOptions{}, pool.NewStatic(target("a", answers)), answers.String(), func(t *testing.T, _ *TCP, c *net.TCPConn) {
			io.WriteString(c, "ping")
			io.ReadFull(c, make([]byte, 4))
			c.SetLinger(0)
			c.Close()
		}, 4, 4, "client_reset"},
		{"reset by the server", spec.TCPOptions{}, pool.NewStatic(target("a", resets)), resets.String(), func(t *testing.T, _ *TCP, c *net.TCPConn) {
			io.WriteString(c, "x")
			c.Read(make([]byte, 1))
		}, 1, 0, "server_reset"},
		{"no server", spec.TCPOptions{}, pool.NewStatic(), "-", func(t *testing.T, _ *TCP, c *net.TCPConn) {
			c.Read(make([]byte, 1))
		}, 0, 0, "no_server"},
		{"closed listener", spec.TCPOptions{}, pool.NewStatic(target("a", answers)), answers.String(), func(t *testing.T, f *TCP, c *net.TCPConn) {
			io.WriteString(c, "ping")
			io.ReadFull(c, make([]byte, 4))
			f.Close(t.Context())
		}, 4, 4, "listener_closed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := listen(t, e, tc.o, tc.pool)
			from := freeAddr(t)
			c, err := (&net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(from)}).Dial("tcp", f.Addr().String())
			switch {
			case err == nil:
				defer c.Close()
				c.SetDeadline(time.Now().Add(patience))
				tc.use(t, f, c.(*net.TCPConn))
			case tc.end != "no_server": // there the reset may come before Dial has looked
				t.Fatal(err)
			}
			l := lineOf(from)
			if l.In != tc.in || l.Out != tc.out || l.End != tc.end || l.Server != tc.server {
				t.Errorf("line %+v", l)
			}
			if l.SLBID != "lb-test" || l.Protocol != "tcp" || l.VIP != "127.0.0.1" || l.Port != 80 || l.Duration < 0 {
				t.Errorf("line %+v", l)
			}
			if at, err := time.Parse(time.RFC3339, l.Time); err != nil || time.Since(at) > time.Minute {
				t.Errorf("time %q: %v", l.Time, err)
			}
			f.Close(t.Context())
		})
	}
}

// TestConnectionLogUDP: a flow is logged when it ends.
func TestConnectionLogUDP(t *testing.T) {
	w, lineOf := connectionLogs(t)
	e := newEngine(t, Options{Log: w})
	t.Cleanup(w.Close)
	u := listenUDP(t, e, spec.UDPOptions{IdleTimeout: 300 * time.Millisecond}, pool.NewStatic(namedUDP(t, "a")))
	c := udpClient(t, u)
	ask(t, c, "one")
	ask(t, c, "three")
	if l := lineOf(clientAddr(c)); l.In != 8 || l.Out != 12 || l.End != "idle_timeout" || l.Protocol != "udp" || l.Duration < 0.2 {
		t.Errorf("line %+v", l)
	}
	u.Close(t.Context())
}

// TestNoConnectionLog: without a log there is no tally.
func TestNoConnectionLog(t *testing.T) {
	if l := newConnectionLog(nil, spec.FrontendID{}, netip.AddrPort{}); l != nil || l.begin(nil) != nil {
		t.Error("a tally without a log")
	}
}
