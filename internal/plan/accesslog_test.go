package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/slb"
)

func TestAccessLog(t *testing.T) {
	lb := balancer("lb", "127.1.0.1")
	frontends := func() []spec.Frontend {
		return Instance(stateOf(lb, listener("lb", slb.TCP, 80), listener("lb", slb.HTTP, 81)), "lb").Frontends
	}
	for _, f := range frontends() {
		if f.AccessLog != nil {
			t.Errorf("%s is logged without having been asked to", f.ID.Protocol)
		}
	}
	lb.Name, lb.RegionID, lb.VpcID = "one", "r", "vpc-1"
	lb.AccessLog = &slb.AccessLog{Project: "p", Store: "s", Type: "layer7"}
	for _, f := range frontends() {
		var want *spec.AccessLog
		if f.ID.Protocol == spec.HTTP {
			want = &spec.AccessLog{Project: "p", Store: "s", Name: "one", Region: "r", NetworkType: "vpc", VPC: "vpc-1"}
		}
		if diff := cmp.Diff(want, f.AccessLog); diff != "" {
			t.Errorf("%s (-want +got):\n%s", f.ID.Protocol, diff)
		}
	}
}
