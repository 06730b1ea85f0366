package limit

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

const second = int64(time.Second)

func id(port uint16) spec.FrontendID {
	return spec.FrontendID{Instance: "lb", Protocol: spec.TCP, Port: port}
}

func TestBucket(t *testing.T) {
	var b bucket
	if b.limited() || b.wait(0) != 0 || !b.allow(1<<30, 0) {
		t.Error("a zero bucket limits")
	}
	b.set(1000, time.Second)
	got := 0
	for b.allow(1, 5) {
		got++
	}
	if got != 1000 {
		t.Errorf("a burst of %d", got)
	}
	if w := b.wait(5); w != 1 {
		t.Errorf("wait %v at the end of the burst", w)
	}
	now, got := int64(5), 0
	for range 10 * 1000 {
		now += int64(time.Millisecond)
		for b.allow(1, now) {
			got++
		}
	}
	if got != 10_000 {
		t.Errorf("%d in ten seconds at 1000 a second", got)
	}
	// What was overdrawn is waited for.
	b.take(500, now)
	if w := b.wait(now); w < 499*time.Millisecond || w > 501*time.Millisecond {
		t.Errorf("wait %v after an overdraft of half a second", w)
	}
	// Time without use gives one burst and no more.
	now, got = now+100*second, 0
	for b.allow(1, now) {
		got++
	}
	if got != 1000 {
		t.Errorf("a burst of %d after a long pause", got)
	}
}

func TestBucketOfMany(t *testing.T) {
	var b bucket
	b.set(1, time.Duration(1000*second)) // a thousand at once, then hardly any
	var (
		wg  sync.WaitGroup
		mu  sync.Mutex
		got int
	)
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				if b.allow(1, 0) {
					mu.Lock()
					got++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if got != 1000 {
		t.Errorf("%d passed", got)
	}
}

func instanceOf(l spec.Limits, frontends ...spec.Frontend) *Instance {
	i := &Instance{}
	i.Update(&spec.Instance{Limits: l, Frontends: frontends})
	return i
}

func TestConnections(t *testing.T) {
	s := &spec.Instance{
		Limits:    spec.Limits{Connections: 3},
		Frontends: []spec.Frontend{{ID: id(1), MaxConnections: 2}, {ID: id(2)}},
	}
	i := &Instance{}
	i.Update(s)
	a, b := i.Frontend(id(1)), i.Frontend(id(2))
	admitted := 0
	for range 5 {
		if a.Admit() {
			admitted++
		}
	}
	if admitted != 2 {
		t.Errorf("%d are within the frontend's own bound of 2", admitted)
	}
	if !b.Admit() || b.Admit() {
		t.Error("the instance's bound of 3 does not hold")
	}
	a.Leave()
	if !b.Admit() || b.Admit() || a.Admit() {
		t.Error("what one frontend left is not the other's")
	}
	// A change applies to the same counters.
	s.Limits.Connections, s.Frontends[0].MaxConnections = 4, 1
	i.Update(s)
	if i.Frontend(id(1)) != a || a.Admit() || !b.Admit() || b.Admit() {
		t.Error("after a change")
	}
	s.Limits, s.Frontends[0].MaxConnections = spec.Limits{}, 0
	i.Update(s)
	for range 10 {
		if !a.Admit() || !b.Admit() {
			t.Fatal("without bounds")
		}
	}
	var none Frontend
	if !none.Admit() || none.In.Limited() {
		t.Error("a zero frontend limits")
	}
	for _, part := range []Part{{}, none.Out.Part(2)} {
		part.Take(1 << 40)
		if part.Limited() || part.Wait() != 0 || !part.Allow(1) {
			t.Error("a part of no limit limits")
		}
	}
	none.Leave()
	if f := i.Frontend(id(9)); !f.Admit() {
		t.Error("an unknown frontend is limited")
	}
}

func TestRateIsSharedByTheFrontends(t *testing.T) {
	i := instanceOf(spec.Limits{Connections: 1000, ConnectionRate: 100}, spec.Frontend{ID: id(1)}, spec.Frontend{ID: id(2)})
	a, b := i.Frontend(id(1)), i.Frontend(id(2))
	got := 0
	for range 100 {
		if a.Admit() {
			a.Leave()
			got++
		}
		if b.Admit() {
			b.Leave()
			got++
		}
	}
	if got < 100 || got > 102 { // 10 ms give one more
		t.Errorf("%d of 200 connections began at once", got)
	}
	if n := i.conns.open.Load(); n != 0 {
		t.Errorf("%d are counted as open", n)
	}
}

const mbit = 1_000_000

// flow asks for size bytes each time it may and has them.
type flow struct {
	pace *Pace
	size int
	most int64 // bytes a second that it wants; 0: all it gets
	got  int64
}

// run drives flows for some seconds in steps of a millisecond.
func run(seconds int, flows ...*flow) {
	for i := range flows {
		flows[i].got = 0
	}
	for now := int64(0); now < int64(seconds)*second; now += int64(time.Millisecond) {
		for k := range flows {
			// Who asks first must not matter.
			f := flows[(int(now/int64(time.Millisecond))+k)%len(flows)]
			for f.pace.wait(now) == 0 && (f.most == 0 || f.got < f.most*now/second) {
				f.pace.take(f.size, now, false)
				f.got += int64(f.size)
			}
		}
	}
}

func expectRate(t *testing.T, name string, f *flow, seconds int, mbits float64) {
	t.Helper()
	got := float64(f.got) * 8 / mbit / float64(seconds)
	if got < mbits*0.95 || got > mbits*1.05 {
		t.Errorf("%s has %.2f Mbit/s, want %.2f", name, got, mbits)
	}
}

// The vendor's example of a shared bandwidth: 10 in all, 4 of them set aside.
func TestBandwidth(t *testing.T) {
	build := func() (a, b, c *flow, i *Instance) {
		i = instanceOf(spec.Limits{Bandwidth: 10 * mbit},
			spec.Frontend{ID: id(1), Bandwidth: 4 * mbit}, spec.Frontend{ID: id(2)}, spec.Frontend{ID: id(3)})
		of := func(port uint16) *flow { return &flow{pace: &i.Frontend(id(port)).Out, size: 1500} }
		return of(1), of(2), of(3), i
	}
	const seconds = 20
	t.Run("one without a limit of its own has what is not set aside", func(t *testing.T) {
		_, b, _, _ := build()
		run(seconds, b)
		expectRate(t, "b", b, seconds, 6)
	})
	t.Run("two of them share it", func(t *testing.T) {
		_, b, c, _ := build()
		c.size = 9000 // who takes more at once gets no more
		run(seconds, b, c)
		expectRate(t, "b", b, seconds, 3)
		expectRate(t, "c", c, seconds, 3)
	})
	t.Run("what one leaves the other may use", func(t *testing.T) {
		_, b, c, _ := build()
		c.most = mbit / 8
		run(seconds, b, c)
		expectRate(t, "c", c, seconds, 1)
		expectRate(t, "b", b, seconds, 5)
	})
	t.Run("a reservation is kept, and is a ceiling", func(t *testing.T) {
		a, b, c, _ := build()
		run(seconds, a, b, c)
		expectRate(t, "a", a, seconds, 4)
		expectRate(t, "b", b, seconds, 3)
		run(seconds, a)
		a.pace.own.paid.Store(0)
		run(seconds, a)
		expectRate(t, "a alone", a, seconds, 4)
	})
	t.Run("from clients the same holds", func(t *testing.T) {
		_, b, _, i := build()
		b.pace = &i.Frontend(id(2)).In
		run(seconds, b)
		expectRate(t, "b", b, seconds, 6)
	})
	t.Run("changes", func(t *testing.T) {
		_, b, _, i := build()
		s := &spec.Instance{Frontends: []spec.Frontend{{ID: id(1)}, {ID: id(2), Bandwidth: 2 * mbit}}}
		i.Update(s)
		if i.Frontend(id(1)).Out.Limited() || !b.pace.Limited() {
			t.Error("limited is not who has a limit")
		}
		if i.Frontend(id(2)).In.Limited() {
			t.Error("the bandwidth of a listener alone limits what clients send")
		}
		run(seconds, b)
		expectRate(t, "b", b, seconds, 2)
		s.Limits.Bandwidth = 1 * mbit // all of it and more is set aside
		i.Update(s)
		rest := &flow{pace: &i.Frontend(id(1)).Out, size: 1500}
		run(seconds, rest)
		expectRate(t, "who has nothing left", rest, seconds, 1)
		i.Update(&spec.Instance{Frontends: s.Frontends[:1]})
		if i.Frontend(id(1)).Out.Limited() {
			t.Error("a limit that was lifted holds")
		}
	})
}

// Two loops that wake together share evenly, whoever looks first, and one has
// all when the other needs nothing.
func TestParts(t *testing.T) {
	const seconds, rate = 20, mbit // bytes a second
	whole := &instanceOf(spec.Limits{}, spec.Frontend{ID: id(1), Bandwidth: 8 * rate}).Frontend(id(1)).Out
	for _, c := range []struct {
		name   string
		wanted [2]int64 // bytes a second
		want   [2]float64
	}{
		{"both busy", [2]int64{10 * rate, 10 * rate}, [2]float64{0.5, 0.5}},
		{"one idle", [2]int64{10 * rate, 0}, [2]float64{1, 0}},
		{"one needs little", [2]int64{rate / 10, 10 * rate}, [2]float64{0.1, 0.9}},
		{"the other", [2]int64{10 * rate, rate / 10}, [2]float64{0.9, 0.1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			whole.own.paid.Store(0)
			parts := [2]Part{whole.Part(2), whole.Part(2)}
			var got [2]int64
			for now := int64(0); now < seconds*second; now += 32 * int64(time.Millisecond) {
				for k := range parts { // the first always looks first
					p := &parts[k]
					for p.wait(now) == 0 && got[k] < c.wanted[k]*now/second {
						p.take(10_000, now)
						got[k] += 10_000
					}
				}
			}
			for k := range got {
				if share := float64(got[k]) / (seconds * rate); share < c.want[k]-0.02 || share > c.want[k]+0.02 {
					t.Errorf("part %d had %.3f, want %.3f", k, share, c.want[k])
				}
			}
		})
	}
}

// Frontends of several loops share what the instance has as those of one do: what
// their parts are assured is no more than what they are.
func TestPartsOfSharers(t *testing.T) {
	const seconds = 20
	for _, c := range []struct {
		name  string
		parts [2]int     // of the two frontends
		busy  [2]int     // of these
		want  [2]float64 // Mbit/s
	}{
		{"one loop each", [2]int{1, 1}, [2]int{1, 1}, [2]float64{3, 3}},
		{"two loops, and one that is idle", [2]int{3, 1}, [2]int{2, 1}, [2]float64{3, 3}},
		{"two and two", [2]int{2, 2}, [2]int{2, 2}, [2]float64{3, 3}},
		{"two of four, one of four", [2]int{4, 4}, [2]int{2, 1}, [2]float64{3, 3}},
		{"alone", [2]int{3, 1}, [2]int{2, 0}, [2]float64{6, 0}},
		{"alone by one of three", [2]int{3, 1}, [2]int{1, 0}, [2]float64{6, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			i := instanceOf(spec.Limits{Bandwidth: 10 * mbit}, spec.Frontend{ID: id(1), Bandwidth: 4 * mbit}, spec.Frontend{ID: id(2)}, spec.Frontend{ID: id(3)})
			var parts [2][]Part
			for k := range parts {
				for range c.busy[k] {
					parts[k] = append(parts[k], i.Frontend(id(uint16(2+k))).Out.Part(c.parts[k]))
				}
			}
			var got [2]int64
			for now := int64(0); now < seconds*second; now += 7 * int64(time.Millisecond) {
				for k := range parts {
					for j := range parts[k] {
						for p := &parts[k][j]; p.wait(now) == 0; {
							p.take(5000, now)
							got[k] += 5000
						}
					}
				}
			}
			for k := range got {
				if rate := float64(got[k]) * 8 / mbit / seconds; rate < c.want[k]*0.95 || rate > c.want[k]*1.05 {
					t.Errorf("frontend %d has %.2f Mbit/s, want %.0f", k, rate, c.want[k])
				}
			}
		})
	}
}

func TestPaceOnTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := instanceOf(spec.Limits{}, spec.Frontend{ID: id(1), Bandwidth: 8 * mbit})
		whole := &i.Frontend(id(1)).Out
		whole.own.paid.Store(clock()) // the bubble's time lies before the process's start
		if whole.Chunk() != 10_000 {
			t.Errorf("chunks of %d", whole.Chunk())
		}
		p := whole.Part(1)
		passed := 0
		for p.Allow(1000) {
			passed++
		}
		if passed != 100 { // the burst of 100 ms
			t.Errorf("%d passed at once", passed)
		}
		time.Sleep(p.Wait())
		if !p.Allow(1000) || p.Allow(1) {
			t.Error("the wait that was told is not the one that counts")
		}
		p.Take(1_000_000)
		if w := p.Wait(); w < 999*time.Millisecond || w > 1002*time.Millisecond {
			t.Errorf("wait %v after a second's worth", w)
		}
	})
}

func BenchmarkPace(b *testing.B) {
	for name, l := range map[string]spec.Limits{"unlimited": {}, "limited": {Bandwidth: 5_000_000_000}} {
		p := instanceOf(l, spec.Frontend{ID: id(1)}).Frontend(id(1)).Out.Part(2)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if p.Limited() {
					p.Allow(1500)
				}
			}
		})
	}
}

func BenchmarkAdmit(b *testing.B) {
	f := instanceOf(spec.Limits{Connections: 10, ConnectionRate: 1 << 40}, spec.Frontend{ID: id(1)}).Frontend(id(1))
	for b.Loop() {
		if f.Admit() {
			f.Leave()
		}
	}
}
