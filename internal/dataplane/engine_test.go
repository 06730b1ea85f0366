package dataplane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openslb/openslb/internal/dataplane/balance"
	"github.com/openslb/openslb/internal/dataplane/health"
	"github.com/openslb/openslb/internal/dataplane/limit"
	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/testutil"
)

// recorder builds frontends that only write down what is done to them.
type recorder struct {
	mu    sync.Mutex
	lines []string
	// refuse makes starting a frontend on the address fail.
	refuse map[netip.AddrPort]error
	// busy is how long frontends take to close.
	busy time.Duration
	// listens is how long their sockets take to close.
	listens time.Duration
}

func (r *recorder) add(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

// take returns what was written since the last call.
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.lines
	r.lines = nil
	return out
}

func (r *recorder) build(f spec.Frontend, p *pool.Pool, _ *limit.Frontend, rules []*pool.Pool) (frontend, error) {
	r.mu.Lock()
	err := r.refuse[f.Listen]
	r.mu.Unlock()
	if err != nil {
		return nil, err
	}
	r.add("start %s:%d on %v pool %s", f.ID.Protocol, f.ID.Port, f.Listen, poolText(p, rules...))
	return &recorded{r: r, f: f, p: p}, nil
}

func poolText(p *pool.Pool, rules ...*pool.Pool) string {
	if len(rules) > 0 {
		return poolText(p) + " rule " + poolText(rules[0], rules[1:]...)
	}
	if p == nil {
		return "none"
	}
	var ids []string
	for _, t := range p.Facts() {
		ids = append(ids, t.Target)
	}
	return p.ID() + "[" + strings.Join(ids, " ") + "]"
}

type recorded struct {
	passing // not asked for

	r *recorder
	f spec.Frontend
	p *pool.Pool
}

func (f *recorded) Update(s spec.Frontend, p *pool.Pool, rules ...*pool.Pool) {
	f.r.add("update %s:%d pool %s", s.ID.Protocol, s.ID.Port, poolText(p, rules...))
}

func (f *recorded) Facts() spec.FrontendFacts {
	return spec.FrontendFacts{ID: f.f.ID, Listening: true, NewConnections: 7}
}

func (f *recorded) Leave() { time.Sleep(f.r.listens) }

func (f *recorded) Close(ctx context.Context) error {
	text := "stop %s:%d pool %s"
	var err error
	select {
	case <-time.After(f.r.busy):
	case <-ctx.Done():
		text, err = "cut %s:%d pool %s", ctx.Err()
	}
	f.r.add(text, f.f.ID.Protocol, f.f.ID.Port, poolText(f.p))
	return err
}

func recording(o Options) (*Engine, *recorder) {
	r := &recorder{refuse: map[netip.AddrPort]error{}}
	o.Logger = slog.New(slog.DiscardHandler)
	e := New(o)
	e.builders = map[spec.Protocol]builder{spec.TCP: r.build, spec.HTTP: r.build}
	return e, r
}

func frontendOf(id string, protocol spec.Protocol, port uint16, poolID string) spec.Frontend {
	f := spec.Frontend{
		ID:     spec.FrontendID{Instance: id, Protocol: protocol, Port: port},
		Listen: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port),
		Pool:   poolID,
	}
	if protocol == spec.TCP {
		f.TCP = &spec.TCPOptions{IdleTimeout: time.Minute}
	} else {
		f.HTTP = &spec.HTTPOptions{IdleTimeout: time.Minute}
	}
	return f
}

func poolOf(id string, servers ...string) spec.Pool {
	p := spec.Pool{ID: id, Scheduler: spec.WRR}
	for i, s := range servers {
		p.Targets = append(p.Targets, spec.Target{ID: s, Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 80), Weight: 100})
	}
	return p
}

// two returns an instance with a TCP and an HTTP frontend, made anew each time.
func two(id string) *spec.Instance {
	return &spec.Instance{
		ID:        id,
		Frontends: []spec.Frontend{frontendOf(id, spec.TCP, 80, "a"), frontendOf(id, spec.HTTP, 81, "b")},
		Pools:     []spec.Pool{poolOf("a", "i-1"), poolOf("b", "i-1", "i-2")},
	}
}

func mustApply(t *testing.T, e *Engine, id string, inst *spec.Instance) {
	t.Helper()
	if err := e.Apply(t.Context(), id, inst); err != nil {
		t.Fatal(err)
	}
}

func TestDiff(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*spec.Instance) *spec.Instance
		want   []string // order does not matter
	}{
		{"nothing", func(in *spec.Instance) *spec.Instance { return in }, nil},
		{"weight", func(in *spec.Instance) *spec.Instance { in.Pools[0].Targets[0].Weight = 1; return in }, nil},
		{"server added", func(in *spec.Instance) *spec.Instance { in.Pools[0] = poolOf("a", "i-1", "i-2"); return in }, nil},
		{"option", func(in *spec.Instance) *spec.Instance { in.Frontends[1].HTTP.XForwardedFor = true; return in }, []string{"update http:81 pool b[i-1 i-2]"}},
		{"frontend gone", func(in *spec.Instance) *spec.Instance {
			in.Frontends, in.Pools = in.Frontends[:1], in.Pools[:1]
			return in
		}, []string{"stop http:81 pool b[i-1 i-2]"}},
		{"frontend new, its pool with it", func(in *spec.Instance) *spec.Instance {
			in.Frontends = append(in.Frontends, frontendOf("lb", spec.TCP, 82, "c"))
			in.Pools = append(in.Pools, poolOf("c", "i-9"))
			return in
		}, []string{"start tcp:82 on 127.0.0.1:82 pool c[i-9]"}},
		{"another address", func(in *spec.Instance) *spec.Instance {
			in.Frontends[0].Listen = netip.MustParseAddrPort("127.0.0.2:80")
			return in
		}, []string{"stop tcp:80 pool a[i-1]", "start tcp:80 on 127.0.0.2:80 pool a[i-1]"}},
		{"another protocol", func(in *spec.Instance) *spec.Instance {
			in.Frontends[0] = frontendOf("lb", spec.HTTP, 80, "a")
			return in
		}, []string{"stop tcp:80 pool a[i-1]", "start http:80 on 127.0.0.1:80 pool a[i-1]"}},
		{"another pool", func(in *spec.Instance) *spec.Instance {
			in.Frontends[0].Pool = "c"
			in.Pools[0] = poolOf("c", "i-7")
			return in
		}, []string{"update tcp:80 pool c[i-7]"}},
		{"redirect", func(in *spec.Instance) *spec.Instance {
			in.Frontends[1].Pool, in.Frontends[1].HTTP.Redirect = "", &spec.Redirect{Port: 443, Code: 301}
			in.Pools = in.Pools[:1]
			return in
		}, []string{"update http:81 pool none"}},
		{"away", func(*spec.Instance) *spec.Instance { return nil }, []string{"stop tcp:80 pool a[i-1]", "stop http:81 pool b[i-1 i-2]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, r := recording(Options{})
			defer e.Close(context.Background())
			mustApply(t, e, "lb", two("lb"))
			want := []string{"start http:81 on 127.0.0.1:81 pool b[i-1 i-2]", "start tcp:80 on 127.0.0.1:80 pool a[i-1]"}
			got := r.take()
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("start differs (-want +got):\n%s", diff)
			}
			next := c.change(two("lb"))
			mustApply(t, e, "lb", next)
			got = r.take()
			if len(c.want) == 2 && c.want[1][:5] == "start" && len(got) == 2 && got[0][:4] != "stop" {
				t.Errorf("the new frontend came before the old one had made room: %q", got)
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("change differs (-want +got):\n%s", diff)
			}
			mustApply(t, e, "lb", next)
			if got := r.take(); got != nil {
				t.Errorf("repeating it did %q", got)
			}
		})
	}
}

// A server keeps what is known of it when another changes.
func TestPoolsLiveThroughChanges(t *testing.T) {
	e, _ := recording(Options{})
	defer e.Close(context.Background())
	mustApply(t, e, "lb", two("lb"))
	e.mu.Lock()
	in := e.instances["lb"]
	e.mu.Unlock()
	p := in.pools["b"].it
	p.Pick(0).Acquire()
	next := two("lb")
	next.Pools[1].Targets[1].Weight = 3
	next.Frontends[1].HTTP.SLBID = true
	mustApply(t, e, "lb", next)
	if in.pools["b"].it != p {
		t.Error("the pool was made anew")
	}
	var active uint64
	for _, f := range e.TargetFacts("lb") {
		active += f.Active
	}
	if active != 1 || len(e.TargetFacts("lb")) != 3 {
		t.Errorf("facts %+v", e.TargetFacts("lb"))
	}
	if e.TargetFacts("lb-other") != nil {
		t.Error("facts of nobody")
	}
	mustApply(t, e, "lb", nil)
	if p.Pick(0) != nil {
		t.Error("the pool is open after its instance has gone")
	}
	if e.TargetFacts("lb") != nil || e.FrontendFacts() != nil {
		t.Error("facts of an instance that is gone")
	}
}

func TestOneBadListenerDoesNotHoldUpTheOthers(t *testing.T) {
	e, r := recording(Options{})
	defer e.Close(context.Background())
	inUse := errors.New("address already in use")
	r.refuse[netip.MustParseAddrPort("127.0.0.1:80")] = inUse
	inst := two("lb")
	inst.Frontends = append(inst.Frontends, frontendOf("lb", spec.UDP, 90, "a"), frontendOf("lb", spec.TCP, 91, "missing"))
	err := e.Apply(t.Context(), "lb", inst)
	if !errors.Is(err, inUse) {
		t.Errorf("error %v", err)
	}
	for _, want := range []string{"load balancer lb", "listener tcp:80", `protocol "udp" is not served`, "pool missing"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
	var one *InstanceError
	if !errors.As(err, &one) || one.ID != "lb" {
		t.Errorf("error %T is not of an instance", err)
	}
	text := func() string {
		var b strings.Builder
		for _, f := range e.FrontendFacts() {
			fmt.Fprintf(&b, "%s:%d listening=%v new=%d %s\n", f.ID.Protocol, f.ID.Port, f.Listening, f.NewConnections, f.Error)
		}
		return b.String()
	}
	want := `tcp:80 listening=false new=0 address already in use
http:81 listening=true new=7 
udp:90 listening=false new=0 protocol "udp" is not served
tcp:91 listening=false new=0 its pool missing is not part of the configuration
`
	if diff := cmp.Diff(want, text()); diff != "" {
		t.Errorf("facts differ (-want +got):\n%s", diff)
	}

	// The same value again tries what failed, and only that.
	r.take()
	r.mu.Lock()
	clear(r.refuse)
	r.mu.Unlock()
	inst = two("lb")
	mustApply(t, e, "lb", inst)
	if got := r.take(); len(got) != 1 || !strings.HasPrefix(got[0], "start tcp:80") {
		t.Errorf("the second try did %q", got)
	}
	if got := text(); strings.Contains(got, "false") {
		t.Errorf("facts after the second try:\n%s", got)
	}
}

func TestSync(t *testing.T) {
	e, r := recording(Options{})
	defer e.Close(context.Background())
	cfg := func(ids ...string) spec.Config {
		c := spec.Config{Instances: map[string]*spec.Instance{}}
		for _, id := range ids {
			c.Instances[id] = two(id)
		}
		return c
	}
	if err := e.Sync(t.Context(), cfg("lb-1", "lb-2")); err != nil {
		t.Fatal(err)
	}
	if n := len(r.take()); n != 4 {
		t.Errorf("%d steps at the start, want 4", n)
	}
	bad := cfg("lb-2", "lb-3")
	r.refuse[bad.Instances["lb-3"].Frontends[0].Listen] = errors.New("no")
	err := e.Sync(t.Context(), bad)
	if err == nil || !strings.Contains(err.Error(), "lb-3") || strings.Contains(err.Error(), "lb-2") {
		t.Errorf("error %v", err)
	}
	got := r.take()
	if len(got) != 3 || !strings.HasPrefix(got[0], "stop") || !strings.HasPrefix(got[1], "stop") || got[2] != "start http:81 on 127.0.0.1:81 pool b[i-1 i-2]" {
		t.Errorf("steps %q", got)
	}
	if err := e.Sync(t.Context(), spec.Config{}); err != nil || e.FrontendFacts() != nil {
		t.Errorf("empty: %v, facts %v", err, e.FrontendFacts())
	}
}

// A frontend that takes its time to close holds up a change for a moment only,
// keeps its pool until it is done, and is cut at the end of the drain timeout.
func TestDrain(t *testing.T) {
	for _, c := range []struct {
		name  string
		busy  time.Duration
		close time.Duration // engine closes after; 0: never
		want  string
		at    time.Duration
	}{
		{"finishes", 5 * time.Second, 0, "stop tcp:80 pool a[i-1]", 5 * time.Second},
		{"drain timeout", time.Hour, 0, "cut tcp:80 pool a[i-1]", 20 * time.Second},
		{"engine closes", time.Hour, 3 * time.Second, "cut tcp:80 pool a[i-1]", 5 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, r := recording(Options{DrainTimeout: 20 * time.Second})
				inst := &spec.Instance{ID: "lb", Frontends: []spec.Frontend{frontendOf("lb", spec.TCP, 80, "a")}, Pools: []spec.Pool{poolOf("a", "i-1")}}
				mustApply(t, e, "lb", inst)
				r.take()
				r.busy, r.listens = c.busy, time.Second
				begin := time.Now()
				mustApply(t, e, "lb", nil)
				// However long the socket takes: only then another can have the port.
				if took := time.Since(begin); took != r.listens+closeWait {
					t.Errorf("the change took %v, want %v", took, r.listens+closeWait)
				}
				begin, r.listens = begin.Add(r.listens), 0
				// The port can be used again while the old frontend drains.
				mustApply(t, e, "lb", inst)
				r.take()
				if c.close > 0 {
					time.Sleep(c.close - time.Since(begin))
					ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
					defer cancel()
					if err := e.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("Close says %v", err)
					}
				} else {
					time.Sleep(c.at - time.Since(begin) + time.Millisecond)
					synctest.Wait()
				}
				if took := time.Since(begin).Truncate(10 * time.Millisecond); took != c.at {
					t.Errorf("over after %v, want %v", took, c.at)
				}
				if got := r.take(); len(got) == 0 || got[0] != c.want {
					t.Errorf("steps %q, want %q", got, c.want)
				}
				r.busy = 0
				_ = e.Close(t.Context())
			})
		})
	}
}

func TestClosed(t *testing.T) {
	testutil.NoLeaks(t)
	e, r := recording(Options{})
	mustApply(t, e, "lb", two("lb"))
	if err := e.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.take()
	if err := e.Apply(t.Context(), "lb", two("lb")); !errors.Is(err, ErrClosed) {
		t.Errorf("Apply says %v", err)
	}
	if err := e.Sync(t.Context(), spec.Config{}); err != nil {
		t.Errorf("an empty Sync says %v", err)
	}
	if err := e.Close(t.Context()); err != nil {
		t.Errorf("a second Close says %v", err)
	}
	if got := r.take(); got != nil {
		t.Errorf("after Close: %q", got)
	}
}

// Changes to many instances, removals included, and readers at the same time.
func TestParallelChanges(t *testing.T) {
	testutil.NoLeaks(t)
	e, _ := recording(Options{})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for n := range 60 {
				id := fmt.Sprintf("lb-%d", (w+n)%4)
				inst := two(id)
				inst.Pools[0].Targets[0].Weight = n
				if n%5 == 0 {
					inst = nil
				}
				if err := e.Apply(context.Background(), id, inst); err != nil {
					t.Error(err)
				}
				e.FrontendFacts()
				e.TargetFacts(id)
			}
		})
	}
	wg.Wait()
	for n := range 4 {
		mustApply(t, e, fmt.Sprintf("lb-%d", n), two("x"))
	}
	if n := len(e.FrontendFacts()); n != 8 {
		t.Errorf("%d frontends, want 8", n)
	}
	if err := e.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// Every name in spec that plan may hand over is served, or known not to be.
func TestTablesCoverSpec(t *testing.T) {
	e := New(Options{})
	defer e.Close(context.Background())
	for p, served := range map[spec.Protocol]bool{spec.TCP: true, spec.HTTP: true, spec.UDP: true, spec.HTTPS: true} {
		if (e.builders[p] != nil) != served {
			t.Errorf("%s: served is %v", p, !served)
		}
	}
	for _, s := range []spec.Scheduler{spec.WRR, spec.RR, spec.WLC, spec.SCH, spec.TCH, spec.QCH} {
		if !balance.Known(s) {
			t.Errorf("no picker for %s", s)
		}
	}
	for _, k := range []spec.CheckKind{spec.CheckTCP, spec.CheckHTTP, spec.CheckUDP} {
		if !health.Known(k) {
			t.Errorf("no checker for %s", k)
		}
	}
}

func BenchmarkApplyWeight(b *testing.B) {
	e, _ := recording(Options{})
	defer e.Close(context.Background())
	insts := [2]*spec.Instance{two("lb"), two("lb")}
	insts[1].Pools[1].Targets[0].Weight = 50
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if err := e.Apply(context.Background(), "lb", insts[n%2]); err != nil {
			b.Fatal(err)
		}
	}
}
