package plan

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/slb"
)

func TestLimits(t *testing.T) {
	large := spec.Limits{Connections: 1_000_000, ConnectionRate: 100_000, RequestRate: 50_000}
	paid := large
	paid.Bandwidth = 20_000_000
	for name, c := range map[string]struct {
		lb   slb.LoadBalancer
		want spec.Limits
	}{
		"shared":                {slb.LoadBalancer{}, spec.Limits{}},
		"small":                 {slb.LoadBalancer{Spec: "slb.s1.small"}, spec.Limits{Connections: 5000, ConnectionRate: 3000, RequestRate: 1000}},
		"unknown":               {slb.LoadBalancer{Spec: "slb.s9.huge"}, spec.Limits{}},
		"billed by use":         {slb.LoadBalancer{Spec: "slb.s1.small", InstanceChargeType: slb.PayByCLCU}, large},
		"bandwidth":             {slb.LoadBalancer{Spec: "slb.s3.large", InternetChargeType: slb.PayByBandwidth, Bandwidth: 20}, paid},
		"bandwidth not in use":  {slb.LoadBalancer{Spec: "slb.s3.large", InternetChargeType: slb.PayByTraffic, Bandwidth: 20}, large},
		"bandwidth not given":   {slb.LoadBalancer{InternetChargeType: slb.PayByBandwidth}, spec.Limits{}},
		"bandwidth of a shared": {slb.LoadBalancer{InternetChargeType: slb.PayByBandwidth, Bandwidth: 1}, spec.Limits{Bandwidth: 1_000_000}},
	} {
		t.Run(name, func(t *testing.T) {
			c.lb.ID, c.lb.Status, c.lb.Address = "lb", slb.Active, addr("127.1.0.1")
			got := Instance(stateOf(&c.lb, listener("lb", slb.TCP, 80)), "lb").Limits
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("limits differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOptionsOfLayer4(t *testing.T) {
	set := func(l *slb.Listener) {
		l.Bandwidth, l.MaxConnection = 7, 9
		l.TCP = &slb.TCPOptions{PersistenceTimeout: time.Minute, ConnectionDrain: slb.On, ConnectionDrainTimeout: 30 * time.Second, ProxyProtocolV2: true}
	}
	unset := func(l *slb.Listener) {
		l.Bandwidth = -1
		// A timeout that was kept when draining was switched off does nothing.
		l.TCP = &slb.TCPOptions{ConnectionDrain: slb.Off, ConnectionDrainTimeout: 30 * time.Second}
	}
	lb := balancer("lb", "127.1.0.1")
	got := Instance(stateOf(lb, listener("lb", slb.TCP, 1, set), listener("lb", slb.UDP, 2, set), listener("lb", slb.TCP, 3, unset), listener("lb", slb.UDP, 4, unset)), "lb").Frontends
	want := []spec.Frontend{
		{MaxConnections: 9, Bandwidth: 7_000_000, TCP: &spec.TCPOptions{IdleTimeout: 900 * time.Second, Persistence: time.Minute, Drain: 30 * time.Second, ProxyProtocol: true}},
		{MaxConnections: 9, Bandwidth: 7_000_000, UDP: &spec.UDPOptions{IdleTimeout: 90 * time.Second, Persistence: time.Minute, Drain: 30 * time.Second, ProxyProtocol: true}},
		{TCP: &spec.TCPOptions{IdleTimeout: 900 * time.Second}},
		{UDP: &spec.UDPOptions{IdleTimeout: 90 * time.Second}},
	}
	for i := range got {
		got[i].ID, got[i].Listen, got[i].Pool = want[0].ID, want[0].Listen, ""
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b spec.FrontendID) bool { return a == b }), cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Listen" }, cmp.Ignore())); diff != "" {
		t.Errorf("frontends differ (-want +got):\n%s", diff)
	}
}
