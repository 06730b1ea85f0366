package pool

import (
	"net/netip"
	"sync"
	"testing"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// checks is a fake of the health runner: a test decides each verdict.
type checks struct {
	mu   sync.Mutex
	live map[*watch]bool
}

type watch struct {
	c      *checks
	check  spec.Check
	addr   netip.AddrPort
	report func(spec.Health)
	health spec.Health
}

func (c *checks) start(check spec.Check, addr netip.AddrPort, report func(spec.Health)) Watch {
	w := &watch{c: c, check: check, addr: addr, report: report}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live == nil {
		c.live = map[*watch]bool{}
	}
	c.live[w] = true
	return w
}

func (w *watch) Health() spec.Health { w.c.mu.Lock(); defer w.c.mu.Unlock(); return w.health }
func (w *watch) Close()              { w.c.mu.Lock(); defer w.c.mu.Unlock(); delete(w.c.live, w) }

func (c *checks) watches() []*watch {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []*watch
	for w := range c.live {
		out = append(out, w)
	}
	return out
}

// decide gives every live watch on an address a verdict.
func (c *checks) decide(addr string, h spec.Health) {
	for _, w := range c.watches() {
		if w.addr.String() == addr {
			w.tell(h)
		}
	}
}

func (w *watch) tell(h spec.Health) {
	w.c.mu.Lock()
	w.health = h
	w.c.mu.Unlock()
	w.report(h)
}

func target(id, addr string, weight int) spec.Target {
	return spec.Target{ID: id, Addr: netip.MustParseAddrPort(addr), Weight: weight}
}

var check = &spec.Check{Kind: spec.CheckTCP, Healthy: 3, Unhealthy: 3}

func checked(targets ...spec.Target) spec.Pool {
	return spec.Pool{ID: "p", Scheduler: spec.WRR, Check: check, Targets: targets}
}

// shares picks n times and counts by member ID.
func shares(p *Pool, n int) map[string]int {
	got := map[string]int{}
	for range n {
		if m := p.Pick(0); m != nil {
			got[m.ID()]++
		} else {
			got["none"]++
		}
	}
	return got
}

func wantShares(t *testing.T, p *Pool, n int, want map[string]int) {
	t.Helper()
	got := shares(p, n)
	for id, w := range want {
		if got[id] != w {
			t.Errorf("%s got %d of %d picks, want %d", id, got[id], n, w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("picks %v, want %v", got, want)
	}
}

func member(t *testing.T, p *Pool, id string) *Member {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.members {
		if m.id == id {
			return m
		}
	}
	t.Fatalf("no member %s", id)
	return nil
}

func TestSharesFollowWeights(t *testing.T) {
	p := NewStatic(target("a", "127.0.0.1:1", 90), target("b", "127.0.0.1:2", 10), target("c", "127.0.0.1:3", 0))
	wantShares(t, p, 100, map[string]int{"a": 90, "b": 10})
	p.Update(spec.Pool{Scheduler: spec.WRR, Targets: []spec.Target{target("a", "127.0.0.1:1", 0), target("b", "127.0.0.1:2", 10), target("c", "127.0.0.1:3", 10)}})
	wantShares(t, p, 100, map[string]int{"b": 50, "c": 50})
	p.Update(spec.Pool{Scheduler: spec.WRR, Targets: []spec.Target{target("a", "127.0.0.1:1", 0), target("b", "127.0.0.1:2", 10), target("c", "127.0.0.1:3", 30)}})
	wantShares(t, p, 100, map[string]int{"b": 25, "c": 75})
	p.Update(spec.Pool{Scheduler: spec.RR, Targets: []spec.Target{target("b", "127.0.0.1:2", 100), target("c", "127.0.0.1:3", 1)}})
	wantShares(t, p, 100, map[string]int{"b": 50, "c": 50})
	if p.Scheduler() != spec.RR {
		t.Errorf("scheduler %s", p.Scheduler())
	}
	if p.ID() != "static" {
		t.Errorf("ID %s", p.ID())
	}
}

func TestNewServerWaitsForItsVerdict(t *testing.T) {
	var c checks
	p := New(checked(target("a", "127.0.0.1:1", 1)), c.start)
	wantShares(t, p, 10, map[string]int{"none": 10})
	if !p.HasWeight() {
		t.Error("a pool whose servers are undecided has weight")
	}
	c.decide("127.0.0.1:1", spec.HealthUp)
	wantShares(t, p, 10, map[string]int{"a": 10})

	p.Update(checked(target("a", "127.0.0.1:1", 1), target("b", "127.0.0.1:2", 1)))
	wantShares(t, p, 10, map[string]int{"a": 10})
	c.decide("127.0.0.1:2", spec.HealthUp)
	wantShares(t, p, 10, map[string]int{"a": 5, "b": 5})
	c.decide("127.0.0.1:1", spec.HealthDown)
	wantShares(t, p, 10, map[string]int{"b": 10})
	c.decide("127.0.0.1:2", spec.HealthDown)
	wantShares(t, p, 10, map[string]int{"none": 10}) // no fail-open
	c.decide("127.0.0.1:1", spec.HealthUp)
	wantShares(t, p, 10, map[string]int{"a": 10})
}

func TestIdentitySurvivesOtherChanges(t *testing.T) {
	var c checks
	p := New(checked(target("a", "127.0.0.1:1", 1), target("b", "127.0.0.1:2", 1)), c.start)
	c.decide("127.0.0.1:1", spec.HealthUp)
	c.decide("127.0.0.1:2", spec.HealthDown)
	a := p.Pick(0)
	a.Acquire()
	defer a.Release()
	before := len(c.watches())

	s := checked(target("d", "127.0.0.1:4", 1), target("a", "127.0.0.1:1", 7))
	s.Scheduler = spec.WLC
	s.Check = &spec.Check{Kind: spec.CheckTCP, Healthy: 3, Unhealthy: 3} // equal, but another pointer
	p.Update(s)
	if got := member(t, p, "a"); got != a || !a.Usable() || a.Removed() || a.Active() != 1 {
		t.Errorf("member a lost its state: same=%v usable=%v removed=%v active=%d", got == a, a.Usable(), a.Removed(), a.Active())
	}
	if after := len(c.watches()); after != before {
		t.Errorf("%d watches, want %d: a's kept, b's ended, d's begun", after, before)
	}
	facts := p.Facts()
	if len(facts) != 2 || facts[0].Target != "d" || facts[1].Target != "a" {
		t.Fatalf("facts %+v", facts)
	}
	if f := facts[1]; f.Pool != "p" || f.Health != spec.HealthUp || f.Active != 1 || f.Total != 1 || f.Addr.String() != "127.0.0.1:1" {
		t.Errorf("facts of a: %+v", f)
	}
}

func TestRemovedAndAddedAgain(t *testing.T) {
	var c checks
	p := New(checked(target("a", "127.0.0.1:1", 1)), c.start)
	c.decide("127.0.0.1:1", spec.HealthUp)
	old := p.Pick(0)
	stale := c.watches()[0]

	p.Update(checked())
	if !old.Removed() || old.Usable() || p.Pick(0) != nil || p.HasWeight() {
		t.Errorf("removed=%v usable=%v hasWeight=%v", old.Removed(), old.Usable(), p.HasWeight())
	}
	if n := len(c.watches()); n != 0 {
		t.Errorf("%d watches on an empty pool", n)
	}
	p.Update(checked(target("a", "127.0.0.1:1", 1)))
	stale.tell(spec.HealthUp) // a report that was under way
	if p.Pick(0) != nil {
		t.Error("a server that was added again got traffic before its verdict")
	}
	if got := member(t, p, "a"); got == old {
		t.Error("a server that was added again is the old member")
	}

	// Another address is another member.
	c.decide("127.0.0.1:1", spec.HealthUp)
	was := p.Pick(0)
	p.Update(checked(target("a", "127.0.0.2:1", 1)))
	if !was.Removed() || p.Pick(0) != nil {
		t.Error("health followed the server to another address")
	}
}

func TestDisabledAndWeightZero(t *testing.T) {
	var c checks
	stopped := target("a", "127.0.0.1:1", 1)
	stopped.Disabled = true
	p := New(checked(stopped, target("b", "127.0.0.1:2", 0)), c.start)
	c.decide("127.0.0.1:1", spec.HealthUp)
	c.decide("127.0.0.1:2", spec.HealthUp)
	wantShares(t, p, 4, map[string]int{"none": 4})
	if !p.HasWeight() {
		t.Error("a disabled target counts as weight")
	}
	p.Update(checked(target("a", "127.0.0.1:1", 0), target("b", "127.0.0.1:2", 0)))
	if p.HasWeight() {
		t.Error("weight with every target at 0")
	}
	// Both kept their health and serve at once.
	p.Update(checked(target("a", "127.0.0.1:1", 1), target("b", "127.0.0.1:2", 1)))
	wantShares(t, p, 4, map[string]int{"a": 2, "b": 2})

	unchecked := NewStatic(stopped)
	if unchecked.Pick(0) != nil {
		t.Error("a disabled target got traffic without a check")
	}
}

func TestCheckReconfigured(t *testing.T) {
	var c checks
	targets := []spec.Target{target("up", "127.0.0.1:1", 1), target("down", "127.0.0.1:2", 1), target("new", "127.0.0.1:3", 1)}
	p := New(checked(targets...), c.start)
	c.decide("127.0.0.1:1", spec.HealthUp)
	c.decide("127.0.0.1:2", spec.HealthDown)

	s := checked(targets...)
	s.Check = &spec.Check{Kind: spec.CheckTCP, Port: 99, Healthy: 2, Unhealthy: 2}
	p.Update(s)
	for _, f := range p.Facts() {
		if f.Health != spec.HealthUnknown {
			t.Errorf("%s is %v after the check changed, want unknown", f.Target, f.Health)
		}
	}
	wantShares(t, p, 4, map[string]int{"up": 4})
	for _, w := range c.watches() {
		if w.check != *s.Check {
			t.Errorf("watch on %s with %+v", w.addr, w.check)
		}
	}
	c.decide("127.0.0.1:1", spec.HealthDown)
	wantShares(t, p, 4, map[string]int{"none": 4})

	// Off: everybody serves and is undecided. On: they serve until a verdict.
	s.Check = nil
	p.Update(s)
	wantShares(t, p, 6, map[string]int{"up": 2, "down": 2, "new": 2})
	if len(c.watches()) != 0 {
		t.Error("watches without a check")
	}
	p.Update(checked(targets...))
	wantShares(t, p, 6, map[string]int{"up": 2, "down": 2, "new": 2})
	c.decide("127.0.0.1:2", spec.HealthDown)
	wantShares(t, p, 6, map[string]int{"up": 3, "new": 3})
}

func TestPickOther(t *testing.T) {
	for _, scheduler := range []spec.Scheduler{spec.WRR, spec.RR, spec.WLC, spec.SCH, spec.TCH} {
		t.Run(string(scheduler), func(t *testing.T) {
			p := NewStatic(target("a", "127.0.0.1:1", 100), target("b", "127.0.0.1:2", 1), target("c", "127.0.0.1:3", 1))
			s := spec.Pool{Scheduler: scheduler, Targets: []spec.Target{target("a", "127.0.0.1:1", 100), target("b", "127.0.0.1:2", 1), target("c", "127.0.0.1:3", 1)}}
			p.Update(s)
			for key := range uint64(200) {
				tried := []*Member{p.Pick(key)}
				for range 2 {
					m := p.PickOther(key, tried)
					if m == nil || m == tried[0] || len(tried) > 1 && m == tried[1] {
						t.Fatalf("after %v: %v", tried, m)
					}
					tried = append(tried, m)
				}
				if m := p.PickOther(key, tried); m != nil {
					t.Fatalf("after all: %v", m)
				}
			}
			p.Update(spec.Pool{Scheduler: scheduler})
			if p.Pick(1) != nil || p.PickOther(1, nil) != nil {
				t.Error("a pick from nothing")
			}
		})
	}
}

// TestSecondChoicesTakeNoTurn has one dead member and looks how often it comes
// first: as often as without second choices. Those go by the weights exactly,
// where first ones do.
func TestSecondChoicesTakeNoTurn(t *testing.T) {
	for _, scheduler := range []spec.Scheduler{spec.WRR, spec.RR, spec.WLC} {
		t.Run(string(scheduler), func(t *testing.T) {
			p := New(spec.Pool{Scheduler: scheduler, Targets: []spec.Target{
				target("dead", "127.0.0.1:1", 1), target("a", "127.0.0.1:2", 1), target("b", "127.0.0.1:3", 1), target("c", "127.0.0.1:4", 1),
			}}, nil)
			slack := 1
			if scheduler == spec.WLC {
				slack = 135 // by lot among equals
			}
			first, second := 0, map[string]int{}
			for range 4000 {
				if m := p.Pick(0); m.ID() == "dead" {
					first++
					second[p.PickOther(0, []*Member{m}).ID()]++
				}
			}
			if first != 1000 {
				t.Errorf("the dead one came first %d times of 4000, want 1000", first)
			}
			for _, id := range []string{"a", "b", "c"} {
				if n := second[id]; n < 333-slack || n > 334+slack {
					t.Errorf("%s stood in %d times of %d", id, n, first)
				}
			}
		})
	}
}

// TestSecondChoiceOfTheLeastLoaded: wlc has its meaning then too.
func TestSecondChoiceOfTheLeastLoaded(t *testing.T) {
	p := New(spec.Pool{Scheduler: spec.WLC, Targets: []spec.Target{
		target("dead", "127.0.0.1:1", 1), target("busy", "127.0.0.1:2", 1), target("big", "127.0.0.1:3", 10),
	}}, nil)
	busy, big := p.Member("busy", netip.MustParseAddrPort("127.0.0.1:2")), p.Member("big", netip.MustParseAddrPort("127.0.0.1:3"))
	busy.Acquire()
	for range 5 {
		big.Acquire()
	}
	for range 20 {
		if m := p.PickOther(0, []*Member{p.Member("dead", netip.MustParseAddrPort("127.0.0.1:1"))}); m != big {
			t.Fatalf("%s, want big: 5 on a weight of 10 are fewer than 1 on 1", m.ID())
		}
	}
}

func TestPickOtherFollowsKey(t *testing.T) {
	targets := []spec.Target{target("a", "127.0.0.1:1", 1), target("b", "127.0.0.1:2", 1), target("c", "127.0.0.1:3", 1), target("d", "127.0.0.1:4", 1)}
	s := spec.Pool{Scheduler: spec.SCH, Targets: targets}
	p, q := New(s, nil), New(s, nil)
	for key := range uint64(100) {
		key *= 0x9e3779b97f4a7c15
		m, n := p.Pick(key), q.Pick(key)
		if m.ID() != n.ID() || p.PickOther(key, []*Member{m}).ID() != q.PickOther(key, []*Member{n}).ID() {
			t.Fatalf("key %#x has different servers in equal pools", key)
		}
	}
}

func TestDuplicateTargetsFirstCounts(t *testing.T) {
	p := NewStatic(target("a", "127.0.0.1:1", 3), target("a", "127.0.0.1:1", 0), target("b", "127.0.0.1:1", 1))
	wantShares(t, p, 8, map[string]int{"a": 6, "b": 2})
}

func TestClose(t *testing.T) {
	var c checks
	p := New(checked(target("a", "127.0.0.1:1", 1)), c.start)
	c.decide("127.0.0.1:1", spec.HealthUp)
	m, w := p.Pick(0), c.watches()[0]
	p.Close()
	p.Close()
	p.Update(checked(target("b", "127.0.0.1:2", 1)))
	w.tell(spec.HealthUp)
	if p.Pick(0) != nil || !m.Removed() || len(c.watches()) != 0 || len(p.Facts()) != 0 {
		t.Error("a closed pool still works")
	}
}

// Picks go on while members come, go and flap.
func TestPickDuringChanges(t *testing.T) {
	var c checks
	a, b := target("a", "127.0.0.1:1", 5), target("b", "127.0.0.1:2", 5)
	p := New(checked(a, b), c.start)
	c.decide("127.0.0.1:1", spec.HealthUp)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for k := uint64(0); ; k++ {
				select {
				case <-stop:
					return
				default:
				}
				m := p.Pick(k)
				if m == nil {
					t.Error("no member though a is always up")
					return
				}
				m.Acquire()
				p.PickOther(k, []*Member{m})
				m.Release()
			}
		})
	}
	for n := range 300 {
		a.Weight, b.Weight = 1+n%3, n%2
		s := checked(a, b)
		s.Scheduler = []spec.Scheduler{spec.WRR, spec.RR, spec.WLC}[n%3]
		p.Update(s)
		c.decide("127.0.0.1:2", spec.HealthUp+spec.Health(n%2))
		p.Facts()
	}
	close(stop)
	wg.Wait()
	for _, f := range p.Facts() {
		if f.Active != 0 {
			t.Errorf("%s: %d active after all were released", f.Target, f.Active)
		}
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	p := NewStatic(target("a", "127.0.0.1:1", 3), target("b", "127.0.0.1:2", 1))
	tried := []*Member{p.Pick(0)}
	if n := testing.AllocsPerRun(1000, func() {
		m := p.Pick(1)
		m.Acquire()
		_ = m.String()
		m.Release()
		p.PickOther(1, tried)
	}); n != 0 {
		t.Errorf("%v allocations a pick", n)
	}
}

func BenchmarkPoolPick(b *testing.B) {
	p := NewStatic(target("a", "127.0.0.1:1", 3), target("b", "127.0.0.1:2", 1))
	b.ReportAllocs()
	for b.Loop() {
		m := p.Pick(1)
		m.Acquire()
		m.Release()
	}
}

func BenchmarkPoolUpdate(b *testing.B) {
	var targets []spec.Target
	for i := range 200 {
		targets = append(targets, spec.Target{ID: "i", Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 80), Weight: 100})
	}
	p := NewStatic(targets...)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		targets[7].Weight = 50 + n%50
		p.Update(spec.Pool{Scheduler: spec.WRR, Targets: targets})
	}
}
