package plan

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/slb"
)

// stateOf puts resources into a State.
func stateOf(resources ...any) *slb.State {
	s := slb.State{}
	for _, r := range resources {
		switch r := r.(type) {
		case *slb.LoadBalancer:
			slb.Set(&s, &s.LoadBalancers, r.Key(), r, 0)
		case *slb.Listener:
			slb.Set(&s, &s.Listeners, r.Key(), r, 0)
		case *slb.Server:
			slb.Set(&s, &s.Servers, r.Key(), r, 0)
		case *slb.VServerGroup:
			slb.Set(&s, &s.VServerGroups, r.Key(), r, 0)
		case *slb.MasterSlaveServerGroup:
			slb.Set(&s, &s.MasterSlaveGroups, r.Key(), r, 0)
		case *slb.Rule:
			slb.Set(&s, &s.Rules, r.Key(), r, 0)
		default:
			panic(fmt.Sprintf("no table for %T", r))
		}
	}
	return &s
}

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

func server(id string, addresses ...string) *slb.Server {
	s := &slb.Server{ID: slb.ServerID(id), Status: slb.ServerRunning}
	for _, a := range addresses {
		s.Addresses = append(s.Addresses, addr(a))
	}
	return s
}

func balancer(id string, address string, servers ...slb.BackendServer) *slb.LoadBalancer {
	return &slb.LoadBalancer{ID: slb.LoadBalancerID(id), Status: slb.Active, Address: addr(address), BackendServers: servers}
}

func listener(id string, protocol slb.Protocol, port uint16, change ...func(*slb.Listener)) *slb.Listener {
	l := &slb.Listener{LoadBalancerID: slb.LoadBalancerID(id), Protocol: protocol, Port: port, Status: slb.Running, BackendServerPort: 8080, Scheduler: slb.WRR}
	for _, c := range change {
		c(l)
	}
	return l
}

// text prints an instance for comparison, one line a frontend, pool or target.
func text(inst *spec.Instance) string {
	if inst == nil {
		return "nothing\n"
	}
	var b strings.Builder
	for _, f := range inst.Frontends {
		fmt.Fprintf(&b, "frontend %s:%d on %v pool=%s", f.ID.Protocol, f.ID.Port, f.Listen, f.Pool)
		if f.TCP != nil {
			fmt.Fprintf(&b, " idle=%v persistence=%v", f.TCP.IdleTimeout, f.TCP.Persistence)
		}
		if f.HTTP != nil {
			fmt.Fprintf(&b, " idle=%v request=%v xff=%v", f.HTTP.IdleTimeout, f.HTTP.RequestTimeout, f.HTTP.XForwardedFor)
			if r := f.HTTP.Redirect; r != nil {
				fmt.Fprintf(&b, " redirect=%d:%d", r.Code, r.Port)
			}
		}
		b.WriteString("\n")
	}
	for _, p := range inst.Pools {
		fmt.Fprintf(&b, "pool %s %s check=%v\n", p.ID, p.Scheduler, p.Check != nil)
		for _, t := range p.Targets {
			fmt.Fprintf(&b, "  %s %v weight=%d disabled=%v", t.ID, t.Addr, t.Weight, t.Disabled)
			if t.Backup || t.Unchecked {
				fmt.Fprintf(&b, " backup=%v unchecked=%v", t.Backup, t.Unchecked)
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

func TestInstance(t *testing.T) {
	off := func(l *slb.Listener) { l.Status = slb.Stopped }
	servers := []slb.BackendServer{{ServerID: "i-1", Weight: 100}, {ServerID: "i-2", Weight: 0}}
	for _, c := range []struct {
		name  string
		state *slb.State
		want  string
	}{
		{"unknown", stateOf(), "nothing\n"},
		{"no listener", stateOf(balancer("lb", "127.1.0.1")), "nothing\n"},
		{"stopped listener", stateOf(balancer("lb", "127.1.0.1"), listener("lb", slb.TCP, 80, off)), "nothing\n"},
		{"inactive", func() *slb.State {
			lb := balancer("lb", "127.1.0.1")
			lb.Status = slb.Inactive
			return stateOf(lb, listener("lb", slb.TCP, 80))
		}(), "nothing\n"},
		{"locked", func() *slb.State {
			lb := balancer("lb", "127.1.0.1")
			lb.Status = slb.Locked
			return stateOf(lb, listener("lb", slb.TCP, 80))
		}(), "nothing\n"},
		{"two listeners, one stopped", stateOf(balancer("lb", "127.1.0.1", servers...), server("i-1", "10.0.0.1"), server("i-2", "10.0.0.2"),
			listener("lb", slb.TCP, 80, func(l *slb.Listener) {
				l.Scheduler = slb.SCH
				l.TCP = &slb.TCPOptions{EstablishedTimeout: 10 * time.Second, PersistenceTimeout: time.Minute}
			}),
			listener("lb", slb.HTTP, 8000, func(l *slb.Listener) {
				l.BackendServerPort = 9090
				l.HealthCheck.Enabled = true
				l.HTTP = &slb.HTTPOptions{XForwardedFor: slb.On, IdleTimeout: 20 * time.Second}
			}),
			listener("lb", slb.HTTP, 8001, off)),
			`frontend tcp:80 on 127.1.0.1:80 pool=lb/default:80-tcp idle=10s persistence=1m0s
frontend http:8000 on 127.1.0.1:8000 pool=lb/default:8000-http idle=20s request=1m0s xff=true
pool lb/default:80-tcp sch check=false
  i-1 10.0.0.1:8080 weight=100 disabled=false
  i-2 10.0.0.2:8080 weight=0 disabled=false
pool lb/default:8000-http wrr check=true
  i-1 10.0.0.1:9090 weight=100 disabled=false
  i-2 10.0.0.2:9090 weight=0 disabled=false
`},
		{"options absent", stateOf(balancer("lb", "127.1.0.1"), listener("lb", slb.TCP, 80), listener("lb", slb.HTTP, 81)),
			`frontend tcp:80 on 127.1.0.1:80 pool=lb/default:80-tcp idle=15m0s persistence=0s
frontend http:81 on 127.1.0.1:81 pool=lb/default:81-http idle=15s request=1m0s xff=true
pool lb/default:80-tcp wrr check=false
pool lb/default:81-http wrr check=false
`},
		{"redirect", stateOf(balancer("lb", "127.1.0.1", servers...), listener("lb", slb.HTTP, 80, func(l *slb.Listener) {
			l.HTTP = &slb.HTTPOptions{ListenerForward: slb.On, ForwardPort: 443, ForwardCode: 302}
		})), "frontend http:80 on 127.1.0.1:80 pool= idle=15s request=1m0s xff=false redirect=302:443\n"},
		{"other listeners' balancer", stateOf(balancer("lb", "127.1.0.1"), balancer("lb-2", "127.1.0.2"), listener("lb-2", slb.TCP, 80)), "nothing\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, text(Instance(c.state, "lb"))); diff != "" {
				t.Errorf("plan differs (-want +got):\n%s", diff)
			}
		})
	}
}

// TestInternet: the data plane knows whose clients may be anybody.
func TestInternet(t *testing.T) {
	for kind, want := range map[slb.AddressType]bool{slb.Internet: true, slb.Intranet: false} {
		lb := balancer("lb", "127.1.0.1")
		lb.AddressType = kind
		f := Instance(stateOf(lb, listener("lb", slb.HTTP, 80)), "lb").Frontends[0]
		if f.HTTP.Internet != want {
			t.Errorf("%s: %+v", kind, f.HTTP)
		}
	}
}

func TestServerAddresses(t *testing.T) {
	stopped := server("i-stopped", "10.0.0.9")
	stopped.Status = slb.ServerStopped
	lb := balancer("lb", "127.1.0.1",
		slb.BackendServer{ServerID: "i-1", Weight: 1},
		slb.BackendServer{ServerID: "i-dual", Weight: 1},
		slb.BackendServer{ServerID: "i-six", Weight: 1},
		slb.BackendServer{ServerID: "eni-1", ServerIP: addr("10.0.0.22"), Type: slb.ENI, Weight: 1},
		slb.BackendServer{ServerID: "eni-1", ServerIP: addr("10.0.0.23"), Type: slb.ENI, Weight: 1},
		slb.BackendServer{ServerID: "eni-foreign", ServerIP: addr("10.0.0.24"), Type: slb.ENI, Weight: 1},
		slb.BackendServer{ServerID: "i-stopped", Weight: 1},
		slb.BackendServer{ServerID: "i-missing", Weight: 1},
		slb.BackendServer{ServerID: "i-bare", Weight: 1},
	)
	s := stateOf(lb, listener("lb", slb.TCP, 80), server("i-1", "10.0.0.1", "10.0.0.2"), server("i-dual", "2001:db8::2", "10.0.0.3"),
		server("i-six", "2001:db8::6"), server("eni-1", "10.0.0.21"), stopped, server("i-bare"))
	want := `frontend tcp:80 on 127.1.0.1:80 pool=lb/default:80-tcp idle=15m0s persistence=0s
pool lb/default:80-tcp wrr check=false
  i-1 10.0.0.1:8080 weight=1 disabled=false
  i-dual 10.0.0.3:8080 weight=1 disabled=false
  i-six [2001:db8::6]:8080 weight=1 disabled=false
  eni-1 10.0.0.22:8080 weight=1 disabled=false
  eni-1 10.0.0.23:8080 weight=1 disabled=false
  eni-foreign 10.0.0.24:8080 weight=1 disabled=false
  i-stopped 10.0.0.9:8080 weight=1 disabled=true
  i-missing invalid AddrPort weight=1 disabled=true
  i-bare invalid AddrPort weight=1 disabled=true
`
	if diff := cmp.Diff(want, text(Instance(s, "lb"))); diff != "" {
		t.Errorf("plan differs (-want +got):\n%s", diff)
	}

	six := balancer("lb", "2001:db8::100", slb.BackendServer{ServerID: "i-dual", Weight: 1})
	s = stateOf(six, listener("lb", slb.TCP, 80), server("i-dual", "10.0.0.3", "2001:db8::2"))
	if got := Instance(s, "lb").Pools[0].Targets[0].Addr.String(); got != "[2001:db8::2]:8080" {
		t.Errorf("an IPv6 service dials %s", got)
	}
}

// A listener with a group of its own never uses the default group.
func TestNoFallBackToDefaultGroup(t *testing.T) {
	for name, change := range map[string]func(*slb.Listener){
		"vserver group": func(l *slb.Listener) { l.VServerGroupID = "rsp-1" },
		"master/slave":  func(l *slb.Listener) { l.MasterSlaveServerGroup = "rsp-2" },
	} {
		s := stateOf(balancer("lb", "127.1.0.1", slb.BackendServer{ServerID: "i-1", Weight: 100}), server("i-1", "10.0.0.1"), listener("lb", slb.TCP, 80, change))
		if got := Instance(s, "lb").Pools[0].Targets; len(got) != 0 {
			t.Errorf("%s: targets %v", name, got)
		}
		if rows := ServerHealth(s, "lb", nil); len(rows) != 0 {
			t.Errorf("%s: health rows %v", name, rows)
		}
	}
}

func TestAffected(t *testing.T) {
	s := stateOf(balancer("lb-1", "127.1.0.1", slb.BackendServer{ServerID: "i-1"}), balancer("lb-2", "127.1.0.2", slb.BackendServer{ServerID: "i-1"}, slb.BackendServer{ServerID: "i-10"}))
	for _, c := range []struct {
		kind slb.Kind
		key  string
		want []slb.LoadBalancerID
	}{
		{slb.KindLoadBalancer, "lb-1", []slb.LoadBalancerID{"lb-1"}},
		{slb.KindLoadBalancer, "lb-gone", []slb.LoadBalancerID{"lb-gone"}},
		{slb.KindListener, slb.ListenerKey("lb-2", "tcp", 80), []slb.LoadBalancerID{"lb-2"}},
		{slb.KindServer, "i-1", []slb.LoadBalancerID{"lb-1", "lb-2"}},
		{slb.KindServer, "i-10", []slb.LoadBalancerID{"lb-2"}},
		{slb.KindServer, "i-2", nil},
		{slb.KindAccessKey, "k", nil},
		{slb.KindAddress, "127.1.0.1", nil},
		{slb.KindClientToken, "t", nil},
	} {
		if got := Affected(s, c.kind, c.key); !reflect.DeepEqual(got, c.want) {
			t.Errorf("Affected(%s %s) = %v, want %v", c.kind, c.key, got, c.want)
		}
	}
}

// drawState makes a small random state over fixed ids, so that things meet.
func drawState(t *rapid.T) *slb.State {
	var resources []any
	ids := []slb.ServerID{"i-1", "i-2", "i-3"}
	for _, id := range ids {
		if rapid.Bool().Draw(t, "registered") {
			s := server(string(id), "10.0.0.1")
			s.Status = rapid.SampledFrom([]slb.ServerStatus{slb.ServerRunning, slb.ServerStopped}).Draw(t, "server status")
			resources = append(resources, s)
		}
	}
	for _, id := range []string{"lb", "lb-1", "lb-10"} {
		lb := balancer(id, "127.1.0.1")
		lb.Status = rapid.SampledFrom([]slb.LoadBalancerStatus{slb.Active, slb.Active, slb.Inactive, slb.Locked}).Draw(t, "status")
		for _, s := range ids {
			if rapid.Bool().Draw(t, "attached") {
				lb.BackendServers = append(lb.BackendServers, slb.BackendServer{ServerID: s, Weight: rapid.IntRange(0, 100).Draw(t, "weight")})
			}
		}
		if rapid.Bool().Draw(t, "exists") {
			resources = append(resources, lb)
		}
		groups := []string{"", "rsp-" + id, "ms-" + id}
		for i, g := range []any{
			&slb.VServerGroup{ID: groups[1], LoadBalancerID: slb.LoadBalancerID(id), Servers: drawServers(t, ids)},
			&slb.MasterSlaveServerGroup{ID: groups[2], LoadBalancerID: slb.LoadBalancerID(id), Servers: drawServers(t, ids)},
		} {
			// What listeners name is there; what they do not may be there.
			if i == 0 || rapid.Bool().Draw(t, "pair exists") {
				resources = append(resources, g)
			} else {
				groups = groups[:2]
			}
		}
		for _, port := range []uint16{80, 443} {
			if rapid.Bool().Draw(t, "listener") {
				l := listener(id, rapid.SampledFrom([]slb.Protocol{slb.TCP, slb.HTTP}).Draw(t, "protocol"), port)
				l.Status = rapid.SampledFrom([]slb.ListenerStatus{slb.Running, slb.Stopped}).Draw(t, "listener status")
				l.HealthCheck.Enabled = rapid.Bool().Draw(t, "check")
				switch i := rapid.IntRange(0, len(groups)-1).Draw(t, "group"); i {
				case 1:
					l.VServerGroupID = groups[i]
				case 2:
					l.MasterSlaveServerGroup = groups[i]
				}
				resources = append(resources, l)
			}
		}
	}
	return stateOf(resources...)
}

func drawServers(t *rapid.T, ids []slb.ServerID) []slb.GroupServer {
	var out []slb.GroupServer
	for i, id := range ids {
		if rapid.Bool().Draw(t, "in the group") {
			out = append(out, slb.GroupServer{ServerID: id, Port: uint16(8000 + i), Weight: rapid.IntRange(0, 100).Draw(t, "weight"), Master: i == 0})
		}
	}
	return out
}

func TestCompileIsTheUnionOfInstances(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawState(t)
		want := map[string]*spec.Instance{}
		for id := range s.LoadBalancers.All() {
			if inst := Instance(s, slb.LoadBalancerID(id)); inst != nil {
				want[id] = inst
			}
		}
		got := Compile(s).Instances
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Fatalf("Compile differs from the union (-want +got):\n%s", diff)
		}
		for id, inst := range got {
			if inst.ID != id {
				t.Errorf("instance %s stands under %s", inst.ID, id)
			}
			pools := map[string]bool{}
			for _, p := range inst.Pools {
				if pools[p.ID] {
					t.Errorf("pool %s twice", p.ID)
				}
				pools[p.ID] = true
			}
			for _, f := range inst.Frontends {
				if f.Pool != "" && !pools[f.Pool] {
					t.Errorf("frontend %v uses pool %s, which is not there", f.ID, f.Pool)
				}
			}
		}
	})
}

// What Affected does not name keeps its plan.
func TestAffectedNamesAllThatChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := drawState(t)
		after := *before
		var kind slb.Kind
		var key string
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			kind, key = slb.KindServer, rapid.SampledFrom([]string{"i-1", "i-2", "i-3"}).Draw(t, "server")
			if rapid.Bool().Draw(t, "delete") {
				after.Servers = after.Servers.Without(key)
			} else {
				after.Servers = after.Servers.With(key, server(key, "10.9.9.9"))
			}
		case 1:
			kind, key = slb.KindLoadBalancer, rapid.SampledFrom([]string{"lb", "lb-1"}).Draw(t, "lb")
			slb.Set(&after, &after.LoadBalancers, key, nil, 0)
		case 2:
			kind, key = slb.KindListener, slb.ListenerKey("lb-1", "tcp", 80)
			slb.Set(&after, &after.Listeners, key, listener("lb-1", slb.HTTP, 80), 0)
		case 3:
			kind, key = slb.KindVServerGroup, "rsp-lb-1"
			slb.Set(&after, &after.VServerGroups, key, &slb.VServerGroup{ID: key, LoadBalancerID: "lb-1", Servers: drawServers(t, []slb.ServerID{"i-1"})}, 0)
		case 4:
			kind, key = slb.KindMasterSlaveGroup, "ms-lb-1"
			slb.Set(&after, &after.MasterSlaveGroups, key, &slb.MasterSlaveServerGroup{ID: key, LoadBalancerID: "lb-1", Servers: drawServers(t, []slb.ServerID{"i-1", "i-2"})}, 0)
		}
		affected := map[string]bool{}
		for _, id := range Affected(&after, kind, key) {
			affected[string(id)] = true
		}
		for _, id := range []string{"lb", "lb-1", "lb-10"} {
			a, b := Instance(before, slb.LoadBalancerID(id)), Instance(&after, slb.LoadBalancerID(id))
			if !affected[id] && !reflect.DeepEqual(a, b) {
				t.Fatalf("%s %s changed the plan of %s, which Affected does not name", kind, key, id)
			}
		}
	})
}
