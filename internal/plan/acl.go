package plan

import (
	"net/netip"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/slb"
)

// accessControl is who may connect to the listener; nil: everybody.
//
// Access control lists without any entry let everybody pass, whatever their
// type. The old white list is of another mind: open and empty it refuses
// everybody. Sources: the create actions of listeners;
// SetListenerAccessControlStatus. The two exclude each other; should both be
// there, the white list counts, which is the stricter.
func accessControl(s *slb.State, l *slb.Listener) *spec.ACL {
	if l.WhiteList.Open {
		return &spec.ACL{Type: spec.ACLWhite, Prefixes: l.WhiteList.Items}
	}
	if l.ACL.Status != slb.On {
		return nil
	}
	var prefixes []netip.Prefix
	for _, id := range l.ACL.IDs {
		list, ok := s.AccessControlLists.Get(id)
		if !ok {
			continue
		}
		for _, e := range list.Entries {
			prefixes = append(prefixes, e.Prefix)
		}
	}
	if len(prefixes) == 0 {
		return nil
	}
	return &spec.ACL{Type: spec.ACLType(l.ACL.Type), Prefixes: prefixes}
}

// usingACL are the load balancers with a listener that names the list.
func usingACL(s *slb.State, id string) []slb.LoadBalancerID {
	var out []slb.LoadBalancerID
	for _, l := range s.ListenersUsingACL(id) {
		// The listeners of one load balancer follow each other.
		if n := len(out); n == 0 || out[n-1] != l.LoadBalancerID {
			out = append(out, l.LoadBalancerID)
		}
	}
	return out
}
