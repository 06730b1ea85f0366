package plan

import (
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/slb"
)

const bitsOfMbit = 1_000_000

// specifications are what instances of a specification may take at once. At any
// of the limits new connections are refused. An instance without one shares the
// cluster and is promised nothing, which here means no limit; so does a name
// that is not in the table. Source: the vendor's instance overview.
var specifications = map[string]spec.Limits{
	"slb.s1.small":   {Connections: 5_000, ConnectionRate: 3_000, RequestRate: 1_000},
	"slb.s2.small":   {Connections: 50_000, ConnectionRate: 5_000, RequestRate: 5_000},
	"slb.s2.medium":  {Connections: 100_000, ConnectionRate: 10_000, RequestRate: 10_000},
	"slb.s3.small":   {Connections: 200_000, ConnectionRate: 20_000, RequestRate: 20_000},
	"slb.s3.medium":  {Connections: 500_000, ConnectionRate: 50_000, RequestRate: 30_000},
	"slb.s3.large":   {Connections: 1_000_000, ConnectionRate: 100_000, RequestRate: 50_000},
	"slb.s3.xlarge":  {Connections: 2_000_000, ConnectionRate: 200_000, RequestRate: 100_000},
	"slb.s3.xxlarge": {Connections: 5_000_000, ConnectionRate: 500_000, RequestRate: 100_000},
}

// clcuSpecification holds for instances billed by use, which ignore their own.
const clcuSpecification = "slb.s3.large"

// Limits are what an instance may take at once.
func Limits(lb *slb.LoadBalancer) spec.Limits {
	name := lb.Spec
	if lb.InstanceChargeType == slb.PayByCLCU {
		name = clcuSpecification
	}
	l := specifications[name]
	// Billed by traffic, an instance has no bandwidth of its own.
	if lb.InternetChargeType == slb.PayByBandwidth && lb.Bandwidth > 0 {
		l.Bandwidth = int64(lb.Bandwidth) * bitsOfMbit
	}
	return l
}

// bandwidth is a listener's in bits a second; -1, unlimited, becomes 0.
func bandwidth(l *slb.Listener) int64 { return int64(max(l.Bandwidth, 0)) * bitsOfMbit }

// drain is how long connections of a server that left live on; 0: until they
// end by themselves.
func drain(o *slb.TCPOptions) time.Duration {
	if o.ConnectionDrain != slb.On {
		return 0
	}
	return o.ConnectionDrainTimeout
}
