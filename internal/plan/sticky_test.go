package plan

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/slb"
)

func TestSticky(t *testing.T) {
	insert := &spec.Sticky{Mode: spec.StickyInsert, Timeout: 50 * time.Second}
	for _, c := range []struct {
		name string
		o    slb.HTTPOptions
		want *spec.Sticky
	}{
		{"off", slb.HTTPOptions{StickySession: slb.Off, StickySessionType: slb.StickyInsert, CookieTimeout: time.Second}, nil},
		{"off again", slb.HTTPOptions{StickySession: slb.Off, StickySessionType: slb.StickyServer, Cookie: "SID"}, &spec.Sticky{Mode: spec.StickyOff, Cookie: "SID"}},
		{"never set", slb.HTTPOptions{}, nil},
		{"insert", slb.HTTPOptions{StickySession: slb.On, StickySessionType: slb.StickyInsert, CookieTimeout: 50 * time.Second}, insert},
		{"insert after server", slb.HTTPOptions{StickySession: slb.On, StickySessionType: slb.StickyInsert, CookieTimeout: 50 * time.Second, Cookie: "x"},
			&spec.Sticky{Mode: spec.StickyInsert, Timeout: 50 * time.Second, Cookie: "x"}},
		{"server", slb.HTTPOptions{StickySession: slb.On, StickySessionType: slb.StickyServer, CookieTimeout: time.Second, Cookie: "SID"},
			&spec.Sticky{Mode: spec.StickyServer, Cookie: "SID"}},
	} {
		s := stateOf(balancer("lb", "127.1.0.1"), listener("lb", slb.HTTP, 80, func(l *slb.Listener) { l.HTTP = &c.o }),
			&slb.Rule{ID: "rule-1", LoadBalancerID: "lb", ListenerPort: 80, Domain: "a", ListenerSync: slb.On,
				StickySession: slb.On, StickySessionType: slb.StickyServer, Cookie: "unused"},
			&slb.Rule{ID: "rule-2", LoadBalancerID: "lb", ListenerPort: 80, Domain: "b", ListenerSync: slb.Off,
				StickySession: slb.On, StickySessionType: slb.StickyInsert, CookieTimeout: 50 * time.Second},
			&slb.Rule{ID: "rule-3", LoadBalancerID: "lb", ListenerPort: 80, Domain: "c", ListenerSync: slb.Off})
		h := Instance(s, "lb").Frontends[0].HTTP
		got := []*spec.Sticky{h.Sticky, h.Rules[0].Sticky, h.Rules[1].Sticky, h.Rules[2].Sticky}
		if diff := cmp.Diff([]*spec.Sticky{c.want, c.want, insert, nil}, got); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", c.name, diff)
		}
	}
}
