package slb

import (
	"net/netip"
	"time"
)

// NodeFacts are what a node knows of itself.
type NodeFacts struct {
	Version   string
	StartedAt time.Time
	// Revision is that of the store which the node has read.
	Revision int64
	// ConnectionBudget is the number of proxied connections that the limit of open
	// files has room for.
	ConnectionBudget uint64
	// DescriptorsInUse are held by connections, flows and listeners, of at most
	// DescriptorLimit; DescriptorShortages counts what was refused for want of
	// one.
	DescriptorsInUse, DescriptorLimit int
	DescriptorShortages               uint64
	// Loops is the number of event loops of each layer.
	Loops int
	// SourceAddress is whose address servers see, AccessLog whether requests are
	// logged, and Tracing whether they are recorded as spans.
	SourceAddress, AccessLog, Tracing Mode
}

// Mode is how something is done, and why so.
type Mode struct{ Mode, Reason string }

// Metric is a figure under its name in the vendor's monitoring.
type Metric struct {
	Name, Unit, Description string
	// OfInstance says that it is one of a whole instance, else of a listener.
	OfInstance bool
}

// MetricQuery asks for one figure over time, see the fields of the Cms action
// DescribeMetricList. Empty fields choose everything.
type MetricQuery struct {
	Name      string
	Instance  LoadBalancerID
	Port      uint16
	Protocol  Protocol
	After, To time.Time // of the beginnings of periods: After < beginning <= To
	Period    time.Duration
}

// MetricPoint is a figure of one period. Port and Protocol are empty for an
// instance's.
type MetricPoint struct {
	Begin                     time.Time
	Instance                  LoadBalancerID
	Port                      uint16
	Protocol                  Protocol
	Address                   netip.Addr // of the instance; invalid when it is gone
	Minimum, Average, Maximum float64
}
