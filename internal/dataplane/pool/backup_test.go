package pool

import (
	"testing"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// pair is a checked master and an unchecked slave that stands by.
func pair(master, slave int) spec.Pool {
	b := target("slave", "127.0.0.1:2", slave)
	b.Backup, b.Unchecked = true, true
	return checked(target("master", "127.0.0.1:1", master), b)
}

func TestBackupTakesOverAndGivesBack(t *testing.T) {
	var c checks
	p := New(pair(100, 100), c.start)
	if n := len(c.watches()); n != 1 {
		t.Fatalf("%d watches: the slave is not to be checked", n)
	}
	// The first verdict is waited for.
	wantShares(t, p, 4, map[string]int{"none": 4})
	c.decide("127.0.0.1:1", spec.HealthUp)
	slave := member(t, p, "slave")
	for range 3 {
		wantShares(t, p, 4, map[string]int{"master": 4})
		if slave.Usable() {
			t.Error("a backup that is not needed is usable")
		}
		if m := p.PickOther(0, []*Member{p.Pick(0)}); m != nil {
			t.Errorf("a connection that failed goes on to %s, while the master is well", m.ID())
		}
		c.decide("127.0.0.1:1", spec.HealthDown)
		wantShares(t, p, 4, map[string]int{"slave": 4})
		if !slave.Usable() || !p.HasWeight() {
			t.Error("the backup is not usable when needed")
		}
		c.decide("127.0.0.1:1", spec.HealthUp)
	}
	if slave.Removed() {
		t.Error("standing by again is not leaving")
	}
}

// What else takes the master out: weight 0, a stopped server, its absence.
func TestBackupForOtherReasons(t *testing.T) {
	var c checks
	p := New(pair(100, 1), c.start)
	c.decide("127.0.0.1:1", spec.HealthUp)
	p.Update(pair(0, 1))
	wantShares(t, p, 4, map[string]int{"slave": 4})
	p.Update(pair(100, 1))
	wantShares(t, p, 4, map[string]int{"master": 4})
	s := pair(100, 1)
	s.Targets[0].Disabled = true
	p.Update(s)
	wantShares(t, p, 4, map[string]int{"slave": 4})
	s.Targets = s.Targets[1:]
	p.Update(s)
	wantShares(t, p, 4, map[string]int{"slave": 4})
	s.Targets[0].Disabled = true
	p.Update(s)
	wantShares(t, p, 4, map[string]int{"none": 4})
}

// A change of the check does not hand the traffic over, in neither state.
func TestBackupWhileCheckChanges(t *testing.T) {
	var c checks
	p := New(pair(100, 100), c.start)
	other := func(port uint16) spec.Pool {
		s := pair(100, 100)
		s.Check = &spec.Check{Kind: spec.CheckTCP, Port: port, Healthy: 3, Unhealthy: 3}
		return s
	}
	p.Update(other(1)) // before the first verdict: still waited for
	wantShares(t, p, 4, map[string]int{"none": 4})
	c.decide("127.0.0.1:1", spec.HealthUp)
	p.Update(other(2))
	wantShares(t, p, 4, map[string]int{"master": 4})
	c.decide("127.0.0.1:1", spec.HealthDown)
	wantShares(t, p, 4, map[string]int{"slave": 4})
	p.Update(other(3))
	wantShares(t, p, 4, map[string]int{"slave": 4})
	c.decide("127.0.0.1:1", spec.HealthUp)
	wantShares(t, p, 4, map[string]int{"master": 4})

	// Without a check the master has it all, dead or not.
	s := pair(100, 100)
	s.Check = nil
	c.decide("127.0.0.1:1", spec.HealthDown)
	p.Update(s)
	wantShares(t, p, 4, map[string]int{"master": 4})
}

// A target that stops being unchecked is probed from then on.
func TestUncheckedChanges(t *testing.T) {
	var c checks
	a := target("a", "127.0.0.1:1", 1)
	a.Unchecked = true
	p := New(checked(a), c.start)
	wantShares(t, p, 2, map[string]int{"a": 2})
	p.Update(checked(target("a", "127.0.0.1:1", 1)))
	wantShares(t, p, 2, map[string]int{"a": 2})
	c.decide("127.0.0.1:1", spec.HealthDown)
	wantShares(t, p, 2, map[string]int{"none": 2})
	p.Update(checked(a))
	if n := len(c.watches()); n != 0 {
		t.Errorf("%d watches", n)
	}
}

// Several primaries and backups share by weight among themselves.
func TestBackupsShare(t *testing.T) {
	var c checks
	s := checked(target("a", "127.0.0.1:1", 1), target("b", "127.0.0.1:2", 3), target("x", "127.0.0.1:3", 1), target("y", "127.0.0.1:4", 1), target("z", "127.0.0.1:5", 0))
	for i := range s.Targets[2:] {
		s.Targets[2+i].Backup = true
	}
	p := New(s, c.start)
	for _, addr := range []string{"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4"} {
		c.decide(addr, spec.HealthUp)
	}
	wantShares(t, p, 8, map[string]int{"a": 2, "b": 6})
	c.decide("127.0.0.1:2", spec.HealthDown)
	wantShares(t, p, 8, map[string]int{"a": 8})
	c.decide("127.0.0.1:1", spec.HealthDown)
	wantShares(t, p, 8, map[string]int{"x": 4, "y": 4})
	c.decide("127.0.0.1:3", spec.HealthDown)
	wantShares(t, p, 8, map[string]int{"y": 8})
}
