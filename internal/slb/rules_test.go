package slb

import (
	"net/netip"
	"strings"
	"testing"
)

func TestServerIDValid(t *testing.T) {
	for id, want := range map[ServerID]bool{
		"i-2zej4lxhjoq1icue6kup": true, "eni-1": true, "host.example:80": true, "A_b": true,
		"": false, "-x": false, "a/b": false, "a b": false, "ä": false,
		ServerID(strings.Repeat("x", 128)): true, ServerID(strings.Repeat("x", 129)): false,
	} {
		if got := id.Valid(); got != want {
			t.Errorf("%q: %v", id, got)
		}
	}
}

func TestSameServer(t *testing.T) {
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	ecs := BackendServer{ServerID: "x", Type: ECS, ServerIP: a}
	eni := BackendServer{ServerID: "x", Type: ENI, ServerIP: a}
	for _, c := range []struct {
		entry BackendServer
		id    ServerID
		ip    netip.Addr
		want  bool
	}{
		{ecs, "x", b, true}, {ecs, "y", a, false},
		{eni, "x", a, true}, {eni, "x", b, false}, {eni, "x", netip.Addr{}, true},
	} {
		if got := c.entry.SameServer(c.id, c.ip); got != c.want {
			t.Errorf("%s %v as %s %v: %v", c.entry.Type, c.entry.ServerIP, c.id, c.ip, got)
		}
	}
}

func TestSchedulerRules(t *testing.T) {
	for _, s := range []Scheduler{WRR, RR, WLC, SCH, TCH, QCH} {
		if s.Fits(HTTP) == s.IsHash() || s.Fits(TCP) != (s != QCH) || !s.Fits(UDP) {
			t.Errorf("%s fits the wrong protocols", s)
		}
		for _, next := range []Scheduler{WRR, RR, WLC, SCH, TCH, QCH} {
			if want := s == next || !s.IsHash() && !next.IsHash(); s.CanBecome(next) != want {
				t.Errorf("%s to %s: %v", s, next, !want)
			}
		}
	}
}

// TestClonesShareNothing: what a transaction edits must not show in the state.
func TestClonesShareNothing(t *testing.T) {
	l := NewHTTPListener("lb-1", 80)
	l.HealthCheck.HTTPCodes = []string{"http_2xx"}
	c := l.Clone()
	c.HTTP.Gzip = Off
	c.HealthCheck.HTTPCodes[0] = "http_5xx"
	if l.HTTP.Gzip != On || l.HealthCheck.HTTPCodes[0] != "http_2xx" {
		t.Error("listener")
	}
	token := &ClientToken{Token: "t", Answer: []byte("a")}
	token.Clone().Answer[0] = 'b'
	if string(token.Answer) != "a" {
		t.Error("token")
	}
}
