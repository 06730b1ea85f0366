package plan

import (
	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/slb"
)

// accessLog is where the requests of a listener are logged; nil: nowhere. There
// is a log for layer 7 alone, which is switched for the instance as a whole.
func accessLog(lb *slb.LoadBalancer, l *slb.Listener) *spec.AccessLog {
	if lb.AccessLog == nil || !l.Protocol.IsL7() {
		return nil
	}
	return &spec.AccessLog{
		Project: lb.AccessLog.Project, Store: lb.AccessLog.Store,
		Name: lb.Name, Region: lb.RegionID, NetworkType: lb.NetworkType(), VPC: lb.VpcID,
	}
}
