package plan

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/slb"
)

func TestSticky(t *testing.T) {
	insert := &spec.Sticky{Mode: spec.StickyInsert, Timeout: 50 * time.Second}
	// What is not to keep sessions by a server's cookie, where something else does or did.
	besides := func(cookie string) (inserts, keepsNone *spec.Sticky) {
		if cookie == "" {
			return insert, nil
		}
		return &spec.Sticky{Mode: spec.StickyInsert, Timeout: 50 * time.Second, Cookie: cookie}, &spec.Sticky{Mode: spec.StickyOff, Cookie: cookie}
	}
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
		inserts, keepsNone := besides(c.o.Cookie)
		if diff := cmp.Diff([]*spec.Sticky{c.want, c.want, inserts, keepsNone}, got); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", c.name, diff)
		}
	}
}

// TestStickyBeside: a listener without stickiness knows that others of its instance
// mark a cookie, which clients send to all of them.
func TestStickyBeside(t *testing.T) {
	server := func(l *slb.Listener) {
		l.HTTP = &slb.HTTPOptions{StickySession: slb.On, StickySessionType: slb.StickyServer, Cookie: "SID"}
	}
	none := func(l *slb.Listener) { l.HTTP = &slb.HTTPOptions{} }
	redirect := func(l *slb.Listener) { l.HTTP = &slb.HTTPOptions{ListenerForward: slb.On} }
	s := stateOf(balancer("lb", "127.1.0.1"), balancer("lb-2", "127.1.0.2"), listener("lb", slb.HTTP, 80, none), listener("lb", slb.HTTP, 81, server),
		listener("lb", slb.HTTP, 82, redirect), listener("lb", slb.TCP, 83), listener("lb-2", slb.HTTP, 80, none))
	got := map[string]*spec.Sticky{}
	for _, id := range []slb.LoadBalancerID{"lb", "lb-2"} {
		for _, f := range Instance(s, id).Frontends {
			if f.HTTP != nil {
				got[fmt.Sprintf("%s/%d", id, f.ID.Port)] = f.HTTP.Sticky
			}
		}
	}
	want := map[string]*spec.Sticky{
		"lb/80": {Mode: spec.StickyOff, Cookie: "SID"}, "lb/81": {Mode: spec.StickyServer, Cookie: "SID"}, "lb/82": nil, "lb-2/80": nil,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("differs (-want +got):\n%s", diff)
	}
}
