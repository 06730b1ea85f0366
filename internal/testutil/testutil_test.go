package testutil

import (
	"fmt"
	"io"
	"testing"
	"time"
)

func TestServersAndLoad(t *testing.T) {
	NoLeaks(t)
	web := HTTPServers(t, "web-1", "web-2")
	if web[0].Addr().Port() != web[1].Addr().Port() || web[0].Addr() == web[1].Addr() {
		t.Fatalf("want one port on two addresses, got %v and %v", web[0].Addr(), web[1].Addr())
	}
	echo := EchoServers(t, "echo-1")[0]

	load := StartLoad(t)
	load.HTTP(web[0].Addr(), 3, time.Millisecond)
	load.Echo(echo.Addr(), 3, time.Millisecond)
	Eventually(t, 10*time.Second, "100 exchanges", func() bool { return load.Requests() >= 100 })
	if n, some := load.Faults(); n != 0 {
		t.Fatalf("faults without a cause: %v", some)
	}
	if s := load.Served(); s["web-1"] == 0 || s["echo-1"] == 0 || s["web-2"] != 0 {
		t.Errorf("served: %v", s)
	}

	// A crash must be seen, by both kinds of client.
	echo.Kill()
	Eventually(t, 10*time.Second, "faults after a crash", func() bool { n, _ := load.Faults(); return n >= 3 })
	echo.Revive(t)
	before := echo.Requests()
	Eventually(t, 10*time.Second, "exchanges after the revival", func() bool { return echo.Requests() > before })
	n, _ := load.Faults()
	web[0].Kill()
	Eventually(t, 10*time.Second, "faults after a crash", func() bool { m, _ := load.Faults(); return m >= n+3 })
	load.Stop()
}

func TestHTTPServerKeepsAndCloses(t *testing.T) {
	NoLeaks(t)
	s := HTTPServers(t, "web-1")[0]
	c, err := DialHTTP(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, tc := range []struct {
		request string
		closing bool
	}{
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", false},
		{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", false},
		{"GET / HTTP/1.0\r\n\r\n", true},
	} {
		r, err := c.Do(tc.request)
		if err != nil {
			t.Fatal(err)
		}
		if r.Status != 200 || r.Body != "web-1" || c.Closing != tc.closing {
			t.Errorf("%q: got %+v, closing %v", tc.request, r, c.Closing)
		}
	}
	if _, err := c.Get("/"); err == nil {
		t.Error("the connection is still open after an HTTP/1.0 request")
	}
	s.Fail(true)
	d, err := DialHTTP(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if r, err := d.Get("/"); err != nil || r.Status != 200 {
		t.Errorf("a failing server must go on serving: %+v, %v", r, err)
	}
	if r, err := d.head(); err != nil || r != 500 {
		t.Errorf("a probe of a failing server: %d, %v", r, err)
	}
	if s.Requests() != 4 || s.Probes() != 1 {
		t.Errorf("%d requests, %d probes, want 4 and 1", s.Requests(), s.Probes())
	}
}

func TestAddressPoolsDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 20 {
		p := AddressPool(t).String()
		if seen[p] {
			t.Fatalf("pool %s was given twice", p)
		}
		seen[p] = true
	}
}

// head sends a HEAD request and returns the status.
func (h *HTTPConn) head() (int, error) {
	if _, err := io.WriteString(h.c, "HEAD / HTTP/1.1\r\nHost: test\r\n\r\n"); err != nil {
		return 0, err
	}
	var status int
	_, err := fmt.Fscanf(h.r, "HTTP/1.1 %d", &status)
	return status, err
}

func TestHosts(t *testing.T) {
	web, echo := Hosts(t, "a", "b")
	for i := range web {
		if web[i].Addr().Addr() != echo[i].Addr().Addr() || web[i].Addr().Port() == echo[i].Addr().Port() || web[i].Addr().Port() != web[0].Addr().Port() {
			t.Errorf("%d: %v and %v", i, web[i].Addr(), echo[i].Addr())
		}
	}
	c, err := DialEcho(echo[1].Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Echo("hello"); err != nil || c.ServerID != "b" {
		t.Errorf("server %q, %v", c.ServerID, err)
	}
}
