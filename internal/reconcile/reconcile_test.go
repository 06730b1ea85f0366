package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openslb/openslb/internal/dataplane"
	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/plan"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
	"github.com/openslb/openslb/internal/store/memkv"
	"github.com/openslb/openslb/internal/testutil"
)

// engine is a fake that remembers what runs.
type engine struct {
	mu      sync.Mutex
	running map[string]*spec.Instance
	applies map[string]int
	syncs   int
	bad     map[string]error // instances that cannot be applied
	hold    map[string]chan struct{}
	order   []string // of the applies
}

func newEngine() *engine {
	return &engine{running: map[string]*spec.Instance{}, applies: map[string]int{}, bad: map[string]error{}, hold: map[string]chan struct{}{}}
}

func (e *engine) Sync(ctx context.Context, cfg spec.Config) error {
	e.mu.Lock()
	e.syncs++
	gone := slices.Collect(maps.Keys(e.running))
	e.mu.Unlock()
	var errs []error
	for _, id := range gone {
		if cfg.Instances[id] == nil {
			errs = append(errs, e.Apply(ctx, id, nil))
		}
	}
	for id, inst := range cfg.Instances {
		errs = append(errs, e.Apply(ctx, id, inst))
	}
	return errors.Join(errs...)
}

func (e *engine) Apply(ctx context.Context, id string, inst *spec.Instance) error {
	e.mu.Lock()
	hold := e.hold[id]
	e.mu.Unlock()
	if hold != nil {
		<-hold
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.applies[id]++
	e.order = append(e.order, id)
	if err := e.bad[id]; err != nil {
		return &dataplane.InstanceError{ID: id, Err: err}
	}
	if inst == nil {
		delete(e.running, id)
	} else {
		e.running[id] = inst
	}
	return nil
}

func (e *engine) set(id string, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err == nil {
		delete(e.bad, id)
	} else {
		e.bad[id] = err
	}
}

func (e *engine) count(id string) int { e.mu.Lock(); defer e.mu.Unlock(); return e.applies[id] }

func (e *engine) snapshot() map[string]*spec.Instance {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.running)
}

// log is a Writer for slog that can be read while in use.
type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

type setup struct {
	t     testing.TB
	store *store.Store
	r     *Reconciler
	log   *logBuffer
	stop  func() error // ends Run and returns what it returned
}

// start runs a reconciler over a store in memory.
func start(t testing.TB, e Engine, fill func(tx *store.Tx)) *setup {
	t.Helper()
	if b, ok := t.(*testing.B); !ok || b == nil {
		testutil.NoLeaks(t)
	}
	k := memkv.New()
	discard := slog.New(slog.DiscardHandler)
	st, err := store.New(context.Background(), k, store.Options{Logger: discard, CompareInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	s := &setup{t: t, store: st, log: &logBuffer{}}
	if fill != nil {
		s.update(fill)
	}
	s.r = New(st, e, slog.New(slog.NewTextHandler(s.log, nil)))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.r.Run(ctx) }()
	s.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := s.stop(); err != nil && !errors.Is(err, store.ErrClosed) {
			t.Errorf("Run: %v", err)
		}
		_ = st.Close()
		_ = k.Close()
	})
	return s
}

func (s *setup) update(fn func(tx *store.Tx)) int64 {
	s.t.Helper()
	revision, err := s.store.Update(context.Background(), "", func(tx *store.Tx) error { fn(tx); return nil })
	if err != nil {
		s.t.Fatal(err)
	}
	return revision
}

// applied waits for the revision as an API call does.
func (s *setup) applied(revision int64) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.r.WaitApplied(ctx, revision); err != nil {
		s.t.Fatal(err)
	}
}

func putBalancer(tx *store.Tx, n, weight int) {
	tx.LoadBalancers.Put(&slb.LoadBalancer{
		ID: slb.LoadBalancerID(id(n)), Status: slb.Active, Address: netip.AddrFrom4([4]byte{127, 1, byte(n >> 8), byte(n)}),
		BackendServers: []slb.BackendServer{{ServerID: "i-1", Weight: weight}, {ServerID: "i-2", Weight: 100}},
	})
}

func putListener(tx *store.Tx, n int, status slb.ListenerStatus) {
	tx.Listeners.Put(&slb.Listener{LoadBalancerID: slb.LoadBalancerID(id(n)), Port: 80, Protocol: slb.TCP, Status: status, BackendServerPort: 8080, Scheduler: slb.WRR})
}

func putServer(tx *store.Tx, id string, ip string) {
	tx.Servers.Put(&slb.Server{ID: slb.ServerID(id), Status: slb.ServerRunning, Addresses: []netip.Addr{netip.MustParseAddr(ip)}})
}

func id(n int) string { return fmt.Sprintf("lb-%04d", n) }

// populate returns a fill function for n running load balancers.
func populate(n int) func(tx *store.Tx) {
	return func(tx *store.Tx) {
		putServer(tx, "i-1", "10.0.0.1")
		putServer(tx, "i-2", "10.0.0.2")
		for i := range n {
			putBalancer(tx, i, 100)
			putListener(tx, i, slb.Running)
		}
	}
}

// inStep fails unless the engine runs what the state says.
func (s *setup) inStep(e *engine) {
	s.t.Helper()
	want := plan.Compile(s.store.State()).Instances
	if diff := cmp.Diff(want, e.snapshot(), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		s.t.Errorf("the engine differs from the plan (-plan +engine):\n%s", diff)
	}
}

func TestStartAndChanges(t *testing.T) {
	e := newEngine()
	s := start(t, e, populate(3))
	s.applied(s.store.State().Revision)
	s.inStep(e)
	if len(e.snapshot()) != 3 {
		t.Fatalf("%d instances run", len(e.snapshot()))
	}
	before := map[string]int{id(0): e.count(id(0)), id(1): e.count(id(1)), id(2): e.count(id(2))}
	only := func(what string, touched ...int) {
		t.Helper()
		s.inStep(e)
		for n := range 3 {
			got := e.count(id(n)) - before[id(n)]
			if want := slices.Contains(touched, n); (got > 0) != want {
				t.Errorf("%s: %s was applied %d times", what, id(n), got)
			}
			before[id(n)] = e.count(id(n))
		}
	}
	s.applied(s.update(func(tx *store.Tx) { putBalancer(tx, 1, 7) }))
	if w := e.snapshot()[id(1)].Pools[0].Targets[0].Weight; w != 7 {
		t.Errorf("weight %d runs after WaitApplied, want 7", w)
	}
	only("weight", 1)
	s.applied(s.update(func(tx *store.Tx) { putListener(tx, 2, slb.Stopped) }))
	if e.snapshot()[id(2)] != nil {
		t.Error("an instance runs without a running listener")
	}
	only("listener stopped", 2)
	s.applied(s.update(func(tx *store.Tx) { putServer(tx, "i-2", "10.9.9.9") }))
	only("server moved", 0, 1, 2)
	s.applied(s.update(func(tx *store.Tx) {
		tx.LoadBalancers.Delete(id(0))
		tx.Listeners.Delete(slb.ListenerKey(slb.LoadBalancerID(id(0)), "tcp", 80))
	}))
	only("deleted", 0)
	s.applied(s.update(func(tx *store.Tx) { tx.AccessKeys.Put(&slb.AccessKey{ID: "k"}) }))
	only("access key")
	if err := s.stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if e.snapshot()[id(1)] == nil {
		t.Error("the end of the loop took the engine down")
	}
	if err := s.r.WaitApplied(t.Context(), 1<<40); !errors.Is(err, ErrStopped) {
		t.Errorf("waiting for a loop that has ended: %v", err)
	}
	if err := s.r.WaitApplied(t.Context(), s.store.State().Revision); err != nil {
		t.Errorf("waiting for what was applied: %v", err)
	}
}

// What fails is tried again and holds up nobody: not the others, not who waits.
func TestFailuresAreRetried(t *testing.T) {
	e := newEngine()
	e.set(id(1), errors.New("address already in use"))
	s := start(t, e, populate(3))
	s.applied(s.store.State().Revision)
	if got := e.snapshot(); len(got) != 2 || got[id(1)] != nil {
		t.Errorf("%d instances run, want the two good ones", len(got))
	}
	s.applied(s.update(func(tx *store.Tx) { putBalancer(tx, 1, 9) })) // returns though it fails
	s.applied(s.update(func(tx *store.Tx) { putBalancer(tx, 2, 9) }))
	if w := e.snapshot()[id(2)].Pools[0].Targets[0].Weight; w != 9 {
		t.Errorf("a failure held up another: weight %d", w)
	}
	failed := e.count(id(1))
	testutil.Eventually(t, 20*time.Second, "two more tries", func() bool { return e.count(id(1)) >= failed+2 })
	others := e.count(id(0))
	e.set(id(1), nil)
	testutil.Eventually(t, 20*time.Second, "applied at last", func() bool { return e.snapshot()[id(1)] != nil })
	s.inStep(e)
	if e.count(id(0)) != others {
		t.Error("retries touched another instance")
	}
	testutil.Eventually(t, 20*time.Second, "its log line", func() bool { return s.log.count("applied at last") == 1 })
	if n := s.log.count("could not be applied"); n != 1 {
		t.Errorf("%d log lines for one failure that repeats, want 1", n)
	}
	tries := e.count(id(1))
	s.applied(s.update(func(tx *store.Tx) { putBalancer(tx, 0, 1) }))
	if e.count(id(1)) != tries {
		t.Error("what was mended is tried on")
	}
}

// A change that fails is tried again without any further change, also as one of
// several.
func TestFailedChangeIsRetried(t *testing.T) {
	for _, touched := range []int{1, 3} {
		e := newEngine()
		s := start(t, e, populate(3))
		s.applied(s.store.State().Revision)
		e.set(id(0), errors.New("no"))
		s.applied(s.update(func(tx *store.Tx) {
			for n := range touched {
				putBalancer(tx, n, 33)
			}
		}))
		if w := e.snapshot()[id(0)].Pools[0].Targets[0].Weight; w == 33 {
			t.Fatal("the fake did not fail")
		}
		e.set(id(0), nil)
		testutil.Eventually(t, 20*time.Second, "applied at last", func() bool { return e.snapshot()[id(0)].Pools[0].Targets[0].Weight == 33 })
		s.inStep(e)
	}
}

// Of one change, what goes makes room before anything comes.
func TestRemovalsComeFirst(t *testing.T) {
	e := newEngine()
	s := start(t, e, populate(6))
	s.applied(s.store.State().Revision)
	e.mu.Lock()
	e.order = nil
	e.mu.Unlock()
	s.applied(s.update(func(tx *store.Tx) {
		for n := range 6 {
			putBalancer(tx, n, 44)
		}
		tx.LoadBalancers.Delete(id(2))
	}))
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.order) != 6 || e.order[0] != id(2) {
		t.Errorf("applied in the order %v, want %s first", e.order, id(2))
	}
}

// One that takes its time does not keep those of the same change waiting.
func TestSlowInstance(t *testing.T) {
	e := newEngine()
	s := start(t, e, populate(3))
	s.applied(s.store.State().Revision)
	gate := make(chan struct{})
	e.mu.Lock()
	e.hold[id(0)] = gate
	e.mu.Unlock()
	revision := s.update(func(tx *store.Tx) {
		for n := range 3 {
			putBalancer(tx, n, 55)
		}
	})
	testutil.Eventually(t, 20*time.Second, "the others applied", func() bool {
		got := e.snapshot()
		return got[id(1)].Pools[0].Targets[0].Weight == 55 && got[id(2)].Pools[0].Targets[0].Weight == 55
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	cancel(cause)
	if err := s.r.WaitApplied(ctx, revision); !errors.Is(err, cause) {
		t.Errorf("WaitApplied says %v while an instance is being applied", err)
	}
	close(gate)
	s.applied(revision)
	s.inStep(e)
}

// Callers that write at once each find their own change applied.
func TestManyWriters(t *testing.T) {
	e := newEngine()
	s := start(t, e, populate(8))
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for w := range 40 {
				weight := w + 1
				s.applied(s.update(func(tx *store.Tx) { putBalancer(tx, n, weight) }))
				if got := e.snapshot()[id(n)].Pools[0].Targets[0].Weight; got != weight {
					t.Errorf("%s: weight %d runs after %d was applied", id(n), got, weight)
				}
			}
		})
	}
	wg.Wait()
	s.inStep(e)
}

func TestStoreClosed(t *testing.T) {
	e := newEngine()
	s := start(t, e, populate(1))
	s.applied(s.store.State().Revision)
	errs := make(chan error, 1)
	go func() { errs <- s.r.WaitApplied(context.Background(), 1<<40) }()
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-errs; !errors.Is(err, ErrStopped) {
		t.Errorf("who waits is told %v", err)
	}
	if err := s.stop(); err != nil && !errors.Is(err, store.ErrClosed) {
		t.Errorf("Run: %v", err)
	}
}

func TestBackoff(t *testing.T) {
	now := time.Now()
	f := &failure{}
	last := time.Duration(0)
	for try := range 40 {
		wait := f.next(now)
		whole := min(firstRetry<<min(try, 20), greatestRetry)
		if wait < whole/2 || wait > whole {
			t.Errorf("try %d waits %v, want %v to %v", try, wait, whole/2, whole)
		}
		if f.again != now.Add(wait) {
			t.Error("the next try is not set by the wait")
		}
		last = wait
	}
	if last < greatestRetry/2 {
		t.Errorf("the waits end at %v", last)
	}
	all := failures{"b": {again: now}, "a": {again: now}, "c": {again: now.Add(-time.Second)}, "later": {again: now.Add(time.Second)}}
	if got, want := all.due(now), []slb.LoadBalancerID{"c", "a", "b"}; !slices.Equal(got, want) {
		t.Errorf("due %v, want %v", got, want)
	}
}

// A change of one weight costs the same however many listeners there are. This
// is what a caller waits for.
func BenchmarkReconcileWeightChange(b *testing.B) {
	for _, listeners := range []int{10, 1000} {
		b.Run(fmt.Sprint(listeners), func(b *testing.B) {
			e := dataplane.New(dataplane.Options{Logger: slog.New(slog.DiscardHandler)})
			defer e.Close(context.Background())
			// Without listening sockets: plan, pools and loop are what is measured.
			s := start(b, unserved{e}, populate(listeners))
			s.applied(s.store.State().Revision)
			b.ReportAllocs()
			weight := 0
			for b.Loop() {
				weight = weight%100 + 1
				revision, err := s.store.Update(context.Background(), "", func(tx *store.Tx) error { putBalancer(tx, 5, weight); return nil })
				if err != nil {
					b.Fatal(err)
				}
				if err := s.r.WaitApplied(context.Background(), revision); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// The work for one change alone: what is affected, its plan, and the pools.
func BenchmarkApplyWeightChange(b *testing.B) {
	for _, listeners := range []int{10, 1000} {
		b.Run(fmt.Sprint(listeners), func(b *testing.B) {
			e := dataplane.New(dataplane.Options{Logger: slog.New(slog.DiscardHandler)})
			defer e.Close(context.Background())
			s := start(b, unserved{e}, populate(listeners))
			s.applied(s.store.State().Revision)
			_ = s.stop()
			var states [2]*slb.State
			for i := range states {
				s.update(func(tx *store.Tx) { putBalancer(tx, 5, 10+i) })
				states[i] = s.store.State()
			}
			change := []store.Change{{Kind: slb.KindLoadBalancer, Key: id(5)}}
			r := New(s.store, unserved{e}, slog.New(slog.DiscardHandler))
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				state := states[n%2]
				r.apply(context.Background(), state, affected(state, change))
			}
		})
	}
}

// unserved hands instances on without their frontends.
type unserved struct{ *dataplane.Engine }

func strip(in *spec.Instance) *spec.Instance {
	if in == nil {
		return nil
	}
	return &spec.Instance{ID: in.ID, Pools: in.Pools}
}

func (u unserved) Sync(ctx context.Context, cfg spec.Config) error {
	for id, in := range cfg.Instances {
		cfg.Instances[id] = strip(in)
	}
	return u.Engine.Sync(ctx, cfg)
}

func (u unserved) Apply(ctx context.Context, id string, in *spec.Instance) error {
	return u.Engine.Apply(ctx, id, strip(in))
}

func BenchmarkResync(b *testing.B) {
	e := dataplane.New(dataplane.Options{Logger: slog.New(slog.DiscardHandler)})
	defer e.Close(context.Background())
	s := start(b, unserved{e}, populate(1000))
	s.applied(s.store.State().Revision)
	state := s.store.State()
	b.ReportAllocs()
	for b.Loop() {
		if err := (unserved{e}).Sync(context.Background(), plan.Compile(state)); err != nil {
			b.Fatal(err)
		}
	}
}
