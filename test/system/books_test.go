package system

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/openslb/openslb/internal/testutil"
)

// account is what clients have done with one listener, all of it at its end.
type account struct {
	protocol              string
	connections, requests int64            // no requests: a listener of layer 4
	received              int64            // bytes; 0: not known
	statuses              map[string]int64 // of the requests
	served                map[string]int64 // requests, by servers that have been there all the time
}

// figures are the metrics of the node, by name and labels.
func (c *cluster) figures() map[string]int64 {
	c.t.Helper()
	resp, err := c.api.HTTP.Get(c.node.Endpoint() + "/metrics")
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		c.t.Fatalf("metrics: %s, %v", resp.Status, err)
	}
	out := map[string]int64{}
	for line := range strings.Lines(string(text)) {
		if i := strings.LastIndexByte(line, ' '); line[0] != '#' && i > 0 {
			if n, err := strconv.ParseFloat(strings.TrimSpace(line[i:]), 64); err == nil {
				out[line[:i]] = int64(n)
			}
		}
	}
	return out
}

// books are what the node says of the traffic of one instance.
type books struct {
	*balancer
	figures map[string]int64
	logged  map[uint16]map[string]int64 // lines of the access log by port and status
	ended   map[uint16]map[string]int64 // lines of the connection log by port and bytes received
}

// booked compares what clients have done, by the ports of the listeners, with
// what the node says of it: in its metrics, in the access log for each request
// and in the connection log for each connection of layer 4. All of them count the
// same, none may be one off.
func (b *balancer) booked(data string, accounts map[uint16]account) {
	b.t.Helper()
	s := &books{balancer: b}
	testutil.Eventually(b.t, 30*time.Second, "all connections have ended for the node too", func() bool {
		s.figures = b.figures()
		for port, a := range accounts {
			if s.frontend("active_connections", port, a, "") != 0 {
				return false
			}
		}
		return true
	})
	var requests, connections int64
	for _, a := range accounts {
		if requests += a.requests; a.requests == 0 {
			connections += a.connections
		}
	}
	s.logged = b.logged("access", filepath.Join(data, "logs", "access", "p", "s"), "status", requests)
	s.ended = b.logged("connection", filepath.Join(data, "logs", "connections"), "bytes_received", connections)
	s.figures = b.figures()
	for port, a := range accounts {
		s.same(port, "connections", s.frontend("connections_total", port, a, ""), a.connections)
		s.same(port, "dropped connections", s.frontend("dropped_connections_total", port, a, ""), 0)
		if a.received > 0 {
			s.same(port, "bytes received", s.frontend("received_bytes_total", port, a, ""), a.received)
		}
		if a.requests > 0 {
			s.layer7(port, a)
		} else {
			s.layer4(port, a)
		}
	}
	for _, log := range []string{"access", "connection"} {
		for _, result := range []string{"dropped", "failed"} {
			if n := s.figure(`openslb_log_lines_total{log=%q,result=%q}`, log, result); n != 0 {
				b.t.Errorf("%d lines of the %s log %s", n, log, result)
			}
		}
	}
}

func (s *books) layer4(port uint16, a account) {
	s.t.Helper()
	lines, sum := int64(0), int64(0)
	for text, n := range s.ended[port] {
		bytes, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			s.t.Error(err)
		}
		lines, sum = lines+n, sum+bytes*n
	}
	s.same(port, "lines of the connection log", lines, a.connections)
	s.same(port, "bytes in the connection log", sum, a.received)
}

func (s *books) layer7(port uint16, a account) {
	s.t.Helper()
	s.same(port, "requests", s.frontend("requests_total", port, a, ""), a.requests)
	lines, classes := int64(0), map[string]int64{}
	for status, n := range s.logged[port] {
		s.same(port, "lines of status "+status, n, a.statuses[status])
		lines += n
		classes[status[:1]+"xx"] += n
	}
	s.same(port, "lines of the access log", lines, a.requests)
	for _, class := range []string{"1xx", "2xx", "3xx", "4xx", "5xx", "other"} {
		s.same(port, "answers of class "+class, s.frontend("responses_total", port, a, fmt.Sprintf("class=%q,", class)), classes[class])
	}
	for server, n := range a.served {
		s.same(port, "picks of "+server, s.server("picks_total", port, a, server), n)
		s.same(port, "requests now at "+server, s.server("active", port, a, server), 0)
	}
}

func (s *books) same(port uint16, what string, got, want int64) {
	s.t.Helper()
	if got != want {
		s.t.Errorf("port %d: %s: %d, clients say %d", port, what, got, want)
	}
}

// figure is one figure, which must be there.
func (s *books) figure(name string, args ...any) int64 {
	s.t.Helper()
	name = fmt.Sprintf(name, args...)
	n, ok := s.figures[name]
	if !ok {
		s.t.Errorf("no figure %s", name)
	}
	return n
}

// frontend is a figure of a listener; labels are those that sort first.
func (s *books) frontend(metric string, port uint16, a account, labels string) int64 {
	s.t.Helper()
	return s.figure(`openslb_frontend_%s{%sload_balancer=%q,port="%d",protocol=%q}`, metric, labels, s.id, port, a.protocol)
}

// server is a figure of a server behind a listener.
func (s *books) server(metric string, port uint16, a account, server string) int64 {
	s.t.Helper()
	for name := range s.figures {
		if strings.HasPrefix(name, "openslb_server_"+metric+"{") && strings.Contains(name, fmt.Sprintf("load_balancer=%q,", s.id)) &&
			strings.HasSuffix(name, fmt.Sprintf(`:%d-%s",server=%q}`, port, a.protocol, server)) {
			return s.figures[name]
		}
	}
	s.t.Errorf("no figure %s of server %s at port %d", metric, server, port)
	return 0
}

// logged counts the lines of a log, put aside or not, by port and by the number
// that a member of them has. It waits until as many have been written as have to
// be.
func (b *balancer) logged(log, dir, member string, want int64) map[uint16]map[string]int64 {
	b.t.Helper()
	testutil.Eventually(b.t, 30*time.Second, fmt.Sprintf("%d lines in the %s log", want, log), func() bool {
		return b.figures()[fmt.Sprintf(`openslb_log_lines_total{log=%q,result="written"}`, log)] >= want
	})
	files, err := filepath.Glob(filepath.Join(dir, b.id+"*.log"))
	if err != nil {
		b.t.Fatal(err)
	}
	number := func(line, member string) string {
		_, rest, _ := strings.Cut(line, `"`+member+`":`)
		n, _, ok := strings.Cut(rest, ",")
		if !ok {
			b.t.Fatalf("no number for %s in %q", member, line)
		}
		return n
	}
	out := map[uint16]map[string]int64{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			b.t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			port, err := strconv.ParseUint(number(line, "slb_vport"), 10, 16)
			if err != nil {
				b.t.Fatalf("line %q", line)
			}
			if out[uint16(port)] == nil {
				out[uint16(port)] = map[string]int64{}
			}
			out[uint16(port)][number(line, member)]++
		}
	}
	return out
}
