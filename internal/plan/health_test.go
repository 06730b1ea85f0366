package plan

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/slb"
)

func TestCheck(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name     string
		protocol slb.Protocol
		set      slb.HealthCheck
		want     *spec.Check
	}{
		{"off", slb.TCP, slb.HealthCheck{Type: slb.CheckTCP}, nil},
		{"tcp defaults", slb.TCP, slb.HealthCheck{Enabled: true}, &spec.Check{Kind: spec.CheckTCP, Timeout: 5 * s, Interval: 2 * s, Healthy: 3, Unhealthy: 3}},
		{"http defaults", slb.HTTP, slb.HealthCheck{Enabled: true}, &spec.Check{Kind: spec.CheckHTTP, Timeout: 5 * s, Interval: 2 * s, Healthy: 3, Unhealthy: 3, Method: "HEAD", HTTPVersion: "1.0", URI: "/", Codes: 1 << 2}},
		{"udp defaults", slb.UDP, slb.HealthCheck{Enabled: true}, &spec.Check{Kind: spec.CheckUDP, Timeout: 10 * s, Interval: 5 * s, Healthy: 3, Unhealthy: 3}},
		{"udp request", slb.UDP, slb.HealthCheck{Enabled: true, Request: "a", Expect: "b"}, &spec.Check{Kind: spec.CheckUDP, Timeout: 10 * s, Interval: 5 * s, Healthy: 3, Unhealthy: 3, Request: "a", Expect: "b"}},
		{
			"all set", slb.HTTPS,
			slb.HealthCheck{Enabled: true, Type: slb.CheckHTTP, Method: slb.MethodGet, HTTPVersion: "1.1", Domain: "a.example", URI: "/x", HTTPCodes: []string{"http_2xx", "http_5xx"}, ConnectPort: 81, Timeout: 9 * s, Interval: 4 * s, HealthyThreshold: 2, UnhealthyThreshold: 10},
			&spec.Check{Kind: spec.CheckHTTP, Method: "GET", HTTPVersion: "1.1", Host: "a.example", URI: "/x", Codes: 1<<2 | 1<<5, Port: 81, Timeout: 9 * s, Interval: 4 * s, Healthy: 2, Unhealthy: 10},
		},
		{"layer 7: the interval replaces a shorter timeout", slb.HTTP, slb.HealthCheck{Enabled: true, Timeout: s, Interval: 7 * s}, &spec.Check{Kind: spec.CheckHTTP, Timeout: 7 * s, Interval: 7 * s, Healthy: 3, Unhealthy: 3, Method: "HEAD", HTTPVersion: "1.0", URI: "/", Codes: 1 << 2}},
		{"layer 4: likewise (quirk 59)", slb.TCP, slb.HealthCheck{Enabled: true, Timeout: s, Interval: 7 * s}, &spec.Check{Kind: spec.CheckTCP, Timeout: 7 * s, Interval: 7 * s, Healthy: 3, Unhealthy: 3}},
		{"http on tcp", slb.TCP, slb.HealthCheck{Enabled: true, Type: slb.CheckHTTP, Domain: "$_ip", HTTPCodes: []string{"http_3xx", "http_4xx"}}, &spec.Check{Kind: spec.CheckHTTP, Timeout: 5 * s, Interval: 2 * s, Healthy: 3, Unhealthy: 3, Method: "GET", HTTPVersion: "1.0", URI: "/", Codes: 1<<3 | 1<<4, UserAgent: "KeepAliveClient"}},
		{"leftovers of another kind", slb.TCP, slb.HealthCheck{Enabled: true, Type: slb.CheckTCP, URI: "/x", Domain: "a", HTTPCodes: []string{"http_2xx"}, Method: slb.MethodHead, Request: "r"}, &spec.Check{Kind: spec.CheckTCP, Timeout: 5 * s, Interval: 2 * s, Healthy: 3, Unhealthy: 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := check(&slb.Listener{Protocol: c.protocol, HealthCheck: c.set})
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("check differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestServerHealth(t *testing.T) {
	on := func(l *slb.Listener) { l.HealthCheck.Enabled = true }
	off := func(l *slb.Listener) { l.Status = slb.Stopped }
	stopped := server("i-stopped", "10.0.0.4")
	stopped.Status = slb.ServerStopped
	lb := balancer("lb", "127.1.0.1",
		slb.BackendServer{ServerID: "i-up", Weight: 100, Type: slb.ECS},
		slb.BackendServer{ServerID: "eni-down", ServerIP: addr("10.0.0.2"), Weight: 100, Type: slb.ENI},
		slb.BackendServer{ServerID: "i-zero", Weight: 0, Type: slb.ECS},
		slb.BackendServer{ServerID: "i-stopped", Weight: 100, Type: slb.ECS},
		slb.BackendServer{ServerID: "i-new", Weight: 100, Type: slb.ECS},
	)
	s := stateOf(lb, server("i-up", "10.0.0.1"), server("i-zero", "10.0.0.3"), stopped, server("i-new", "10.0.0.5"),
		listener("lb", slb.TCP, 80, on), listener("lb", slb.HTTP, 81, on), listener("lb", slb.TCP, 82), listener("lb", slb.HTTP, 83, on, off),
		listener("lb", slb.HTTP, 84, on, func(l *slb.Listener) { l.HTTP = &slb.HTTPOptions{ListenerForward: slb.On, ForwardPort: 443} }))
	var facts []spec.TargetFacts
	for _, pool := range []string{"lb/default:80-tcp", "lb/default:81-http", "lb/default:83-http", "other/default:80-tcp"} {
		for _, f := range []struct {
			id, addr string
			health   spec.Health
		}{
			{"i-up", "10.0.0.1:8080", spec.HealthUp},
			{"eni-down", "10.0.0.2:8080", spec.HealthDown},
			{"i-zero", "10.0.0.3:8080", spec.HealthUp},
			{"i-stopped", "10.0.0.4:8080", spec.HealthUp},
			{"i-new", "10.0.0.5:9999", spec.HealthUp}, // another address: not this target
		} {
			facts = append(facts, spec.TargetFacts{Pool: pool, Target: f.id, Addr: netip.MustParseAddrPort(f.addr), Health: f.health})
		}
	}
	render := func(s *slb.State) string {
		var b strings.Builder
		for _, r := range ServerHealth(s, "lb", facts) {
			fmt.Fprintf(&b, "%s:%d %s %v:%d %s %s\n", r.Protocol, r.ListenerPort, r.ServerID, r.ServerIP, r.Port, r.Type, r.Status)
		}
		return b.String()
	}
	want := `tcp:80 i-up 10.0.0.1:8080 ecs normal
tcp:80 eni-down 10.0.0.2:8080 eni abnormal
tcp:80 i-zero 10.0.0.3:8080 ecs abnormal
tcp:80 i-stopped 10.0.0.4:8080 ecs abnormal
tcp:80 i-new 10.0.0.5:8080 ecs unavailable
http:81 i-up 10.0.0.1:8080 ecs normal
http:81 eni-down 10.0.0.2:8080 eni abnormal
http:81 i-zero 10.0.0.3:8080 ecs normal
http:81 i-stopped 10.0.0.4:8080 ecs abnormal
http:81 i-new 10.0.0.5:8080 ecs unavailable
tcp:82 i-up 10.0.0.1:8080 ecs unavailable
tcp:82 eni-down 10.0.0.2:8080 eni unavailable
tcp:82 i-zero 10.0.0.3:8080 ecs unavailable
tcp:82 i-stopped 10.0.0.4:8080 ecs abnormal
tcp:82 i-new 10.0.0.5:8080 ecs unavailable
http:83 i-up 10.0.0.1:8080 ecs unavailable
http:83 eni-down 10.0.0.2:8080 eni unavailable
http:83 i-zero 10.0.0.3:8080 ecs unavailable
http:83 i-stopped 10.0.0.4:8080 ecs unavailable
http:83 i-new 10.0.0.5:8080 ecs unavailable
`
	if diff := cmp.Diff(want, render(s)); diff != "" {
		t.Errorf("rows differ (-want +got):\n%s", diff)
	}
	inactive := lb.Clone()
	inactive.Status = slb.Inactive
	later := *s
	slb.Set(&later, &later.LoadBalancers, "lb", inactive, 0)
	if got := render(&later); strings.Count(got, "unavailable") != 20 {
		t.Errorf("rows of an inactive instance:\n%s", got)
	}
	if rows := ServerHealth(s, "lb-unknown", facts); rows != nil {
		t.Errorf("rows of nobody: %v", rows)
	}
}

// constants reads the values of all string constants of a type from source.
func constants(t *testing.T, file, typeName string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			if id, ok := v.Type.(*ast.Ident); !ok || id.Name != typeName {
				continue
			}
			for _, value := range v.Values {
				text, err := strconv.Unquote(value.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, text)
			}
		}
	}
	slices.Sort(out)
	if len(out) == 0 {
		t.Fatalf("%s has no constants of type %s", file, typeName)
	}
	return out
}

// The plan hands these names over as they are, so both sides must spell them
// alike; balance, health and the engine test that they serve every one.
func TestEveryConstantHasItsCounterpart(t *testing.T) {
	for _, c := range []struct{ slb, spec string }{
		{"Protocol", "Protocol"},
		{"Scheduler", "Scheduler"},
		{"HealthCheckType", "CheckKind"},
	} {
		asked := constants(t, "../slb/enums.go", c.slb)
		served := constants(t, "../dataplane/spec/spec.go", c.spec)
		if diff := cmp.Diff(asked, served); diff != "" {
			t.Errorf("slb.%s and spec.%s differ (-slb +spec):\n%s", c.slb, c.spec, diff)
		}
	}
	for _, m := range constants(t, "../slb/enums.go", "HealthCheckMethod") {
		l := &slb.Listener{Protocol: slb.HTTP, HealthCheck: slb.HealthCheck{Enabled: true, Method: slb.HealthCheckMethod(m)}}
		if got := check(l).Method; got != strings.ToUpper(m) {
			t.Errorf("method %s is probed by %s", m, got)
		}
	}
	// Every protocol has a default check and options of one kind.
	for _, p := range constants(t, "../slb/enums.go", "Protocol") {
		f := frontend(&slb.LoadBalancer{}, &slb.Listener{Protocol: slb.Protocol(p)})
		kinds := 0
		for _, there := range []bool{f.TCP != nil, f.UDP != nil, f.HTTP != nil} {
			if there {
				kinds++
			}
		}
		if kinds != 1 {
			t.Errorf("a frontend of %s has TCP options %v, UDP options %v and HTTP options %v", p, f.TCP, f.UDP, f.HTTP)
		}
	}
	for _, h := range []spec.Health{spec.HealthUnknown, spec.HealthUp, spec.HealthDown} {
		lb, l := &slb.LoadBalancer{Status: slb.Active}, &slb.Listener{Status: slb.Running, Protocol: slb.HTTP, HealthCheck: slb.HealthCheck{Enabled: true}}
		if got := status(lb, l, &spec.Target{Weight: 1}, h); !slices.Contains(constants(t, "../slb/enums.go", "HealthStatus"), string(got)) {
			t.Errorf("health %d reads %q", h, got)
		}
	}
}

func BenchmarkInstance(b *testing.B) {
	s := stateOf(balancer("lb", "127.1.0.1", slb.BackendServer{ServerID: "i-1", Weight: 1}, slb.BackendServer{ServerID: "i-2", Weight: 1}), server("i-1", "10.0.0.1"), server("i-2", "10.0.0.2"), listener("lb", slb.HTTP, 80))
	b.ReportAllocs()
	for b.Loop() {
		Instance(s, "lb")
	}
}

// TestListenerAsItsOwnServer: on layer 4 it gets no traffic and is abnormal, at
// that very address and port. Layer 7 looks after itself.
func TestListenerAsItsOwnServer(t *testing.T) {
	lb := balancer("lb", "127.1.0.1", slb.BackendServer{ServerID: "i-self", Weight: 100, Type: slb.ECS})
	for _, c := range []struct {
		protocol slb.Protocol
		port     uint16 // of the server
		disabled bool
	}{
		{slb.TCP, 80, true}, {slb.UDP, 80, true}, {slb.HTTP, 80, false}, {slb.HTTPS, 80, false}, {slb.TCP, 81, false},
	} {
		l := listener("lb", c.protocol, 80, func(l *slb.Listener) { l.BackendServerPort, l.HealthCheck.Enabled = c.port, true })
		s := stateOf(lb, server("i-self", "127.1.0.1"), l)
		p := pool(s, lb, l, groupOf(s, lb, l))
		if len(p.Targets) != 1 || p.Targets[0].Disabled != c.disabled {
			t.Errorf("%s to port %d: targets %+v, want disabled %v", c.protocol, c.port, p.Targets, c.disabled)
		}
		want := slb.HealthUnavailable
		if c.disabled {
			want = slb.HealthAbnormal
		}
		if rows := ServerHealth(s, "lb", nil); len(rows) != 1 || rows[0].Status != want {
			t.Errorf("%s to port %d: %+v, want %s", c.protocol, c.port, rows, want)
		}
	}
}
