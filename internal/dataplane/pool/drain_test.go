package pool

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

func TestTellsWhenMembersStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &checks{}
		check := &spec.Check{Kind: spec.CheckTCP}
		of := func(targets ...spec.Target) spec.Pool {
			return spec.Pool{Scheduler: spec.WRR, Check: check, Targets: targets}
		}
		a, b := target("a", "127.0.0.1:1", 1), target("b", "127.0.0.1:2", 1)
		p := New(of(a, b), c.start)
		told := 0
		p.Tell(1, func() { told += 100 })
		p.Tell(1, func() { told++ })
		expect := func(what string, want int) {
			t.Helper()
			if told != want {
				t.Errorf("%s: told %d times in all, want %d", what, told, want)
			}
		}
		c.decide("127.0.0.1:1", spec.HealthDown)
		expect("down before it was up", 0)
		c.decide("127.0.0.1:1", spec.HealthUp)
		c.decide("127.0.0.1:2", spec.HealthUp)
		expect("up", 0)
		m := p.Pick(0)
		if m.UnusableFor() != 0 {
			t.Errorf("usable, and not for %v", m.UnusableFor())
		}
		p.Update(of(a, b))
		expect("no change", 0)
		c.decide(m.String(), spec.HealthDown)
		expect("unhealthy", 1)
		time.Sleep(time.Second)
		p.Update(of(b, a))
		if got := m.UnusableFor(); got != time.Second {
			t.Errorf("unusable for %v, want a second", got)
		}
		c.decide(m.String(), spec.HealthUp)
		if m.UnusableFor() != 0 {
			t.Error("usable again")
		}
		expect("healthy again", 1)
		a.Weight, b.Weight = 0, 0
		p.Update(of(a, b))
		expect("weight 0 of both at once", 2)
		a.Weight, b.Weight = 1, 1
		p.Update(of(a, b))
		p.Update(of(b))
		expect("removed", 3)
		if m.Removed() != (m.ID() == "a") {
			t.Error("the wrong one was removed")
		}
		p.Untell(1)
		p.Update(of())
		expect("no longer wanted", 3)
		p.Update(of(a))
		p.Tell(2, func() { told++ })
		c.decide("127.0.0.1:1", spec.HealthUp)
		p.Close()
		expect("closed", 4)
		p.Tell(3, func() { told++ })
		p.Close()
		expect("closed again", 4)
	})
}
