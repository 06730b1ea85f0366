package api

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
	"github.com/openslb/openslb/internal/store/memkv"
)

// world is a Server behind the real protocol, over the real store in memory,
// with a data plane made by hand.
type world struct {
	t        testing.TB
	store    *store.Store
	server   *Server
	handler  *rpc.Handler
	versions map[string]string // of actions
	applier  *fakeApplier
	facts    *fakeFacts
	binder   *fakeBinder
	clock    *fakeClock
	nonce    atomic.Int64
}

func newWorld(t testing.TB, change ...func(*Config)) *world {
	t.Helper()
	st, err := store.New(context.Background(), memkv.New(), store.Options{Logger: slog.New(slog.DiscardHandler), CompareInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	w := &world{
		t: t, store: st, versions: map[string]string{},
		applier: &fakeApplier{}, facts: &fakeFacts{}, binder: &fakeBinder{}, clock: &fakeClock{},
	}
	cfg := Config{
		Store: st, Applier: w.applier, Facts: w.facts, Metrics: w.facts, Binder: w.binder, Keys: &fakeKeys{store: st, clock: w.clock},
		Now: w.clock.Now, AllowForeignENI: true, Sealer: testSealer(),
	}
	for _, c := range change {
		c(&cfg)
	}
	w.server = New(cfg)
	products := w.server.Products()
	for _, p := range products {
		for _, a := range p.Actions {
			w.versions[a.Name] = p.Version
		}
	}
	w.handler = rpc.NewHandler(rpc.Options{
		Mux: rpc.NewMux(products...), Keys: oneKey{}, HostID: "slb.example.net", Logger: slog.New(slog.DiscardHandler),
	})
	return w
}

// fakeClock stands still at a fixed time unless moved.
type fakeClock struct{ ahead atomic.Int64 }

func (c *fakeClock) Now() time.Time {
	return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).Add(time.Duration(c.ahead.Load()))
}

func (c *fakeClock) Advance(d time.Duration) { c.ahead.Add(int64(d)) }

// fakeApplier notes the revisions that calls have waited for; set hang to make
// it wait until the caller gives up.
type fakeApplier struct {
	mu     sync.Mutex
	waited []int64
	hang   bool
	// applied is called when something is; nil: nothing is.
	applied func()
}

func (a *fakeApplier) WaitApplied(ctx context.Context, revision int64) error {
	a.mu.Lock()
	a.waited = append(a.waited, revision)
	hang, applied := a.hang, a.applied
	a.mu.Unlock()
	if applied != nil {
		applied()
	}
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (a *fakeApplier) last() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waited) == 0 {
		return 0
	}
	return a.waited[len(a.waited)-1]
}

type fakeFacts struct {
	rows  []slb.ServerHealth
	asked []slb.MetricQuery
}

func (f *fakeFacts) ServerHealth(slb.LoadBalancerID) []slb.ServerHealth { return f.rows }

func (f *fakeFacts) Node() slb.NodeFacts {
	return slb.NodeFacts{Version: "1.2.3", StartedAt: (&fakeClock{}).Now().Add(-90 * time.Second), Revision: 7, ConnectionBudget: 1000, DescriptorsInUse: 5,
		DescriptorLimit: 900, DescriptorShortages: 3, Loops: 2, SourceAddress: slb.Mode{Mode: "proxy", Reason: "no rights"}, AccessLog: slb.Mode{Mode: "off", Reason: "not asked for"},
		Tracing: slb.Mode{Mode: "on", Reason: "asked for"}}
}

// Metrics are some of the figures that a node has.
func (f *fakeFacts) Metrics() []slb.Metric {
	return []slb.Metric{{Name: "Qps", Unit: "count/s", Description: "Requests."}, {Name: "InstanceQps", Unit: "count/s", Description: "Requests.", OfInstance: true}}
}

// MetricPoints is one point of each minute, whose average is its number.
func (f *fakeFacts) MetricPoints(q slb.MetricQuery) []slb.MetricPoint {
	f.asked = append(f.asked, q)
	var out []slb.MetricPoint
	end := (&fakeClock{}).Now()
	for t := end.Add(-3 * time.Minute); t.Before(end); t = t.Add(q.Period) {
		for _, port := range []uint16{80, 443} {
			p := slb.MetricPoint{Begin: t, Instance: q.Instance, Port: port, Protocol: slb.HTTP, Address: netip.MustParseAddr("127.1.0.1"), Minimum: 0.5, Average: float64(len(out)), Maximum: 9}
			if !t.After(q.After) || t.After(q.To) || q.Port != 0 && q.Port != port {
				continue
			}
			if q.Name == "InstanceQps" {
				if port == 443 {
					continue
				}
				p.Port, p.Protocol = 0, ""
			}
			out = append(out, p)
		}
	}
	return out
}

// fakeBinder refuses the ports in refused and notes what it was asked.
type fakeBinder struct {
	mu      sync.Mutex
	refused map[uint16]error
	asked   []netip.AddrPort
}

func (b *fakeBinder) CanBind(_ slb.Protocol, a netip.AddrPort) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, a)
	return b.refused[a.Port()]
}

type fakeKeys struct {
	store *store.Store
	clock *fakeClock
	made  int
}

func (f *fakeKeys) Create(ctx context.Context, id, secret, description string) (slb.AccessKey, string, error) {
	f.made++
	if id == "" {
		id, secret = "key"+strconv.Itoa(f.made), "secret"+strconv.Itoa(f.made)
	}
	k := slb.AccessKey{ID: id, SealedSecret: []byte(secret), Enabled: true, Description: description, CreatedAt: f.clock.Now()}
	_, err := f.store.Update(ctx, "", func(tx *store.Tx) error {
		tx.AccessKeys.Put(k.Clone())
		return nil
	})
	return k, secret, err
}

type oneKey struct{}

func (oneKey) Secret(_ context.Context, id string) (string, bool, error) {
	if id != "testid" {
		return "", false, rpc.ErrUnknownKey
	}
	return "testsecret", true, nil
}

// params are pairs of name and value. Of equal names the last counts; "&Name" is
// sent beside what there is.
type params []string

// send makes one signed call and returns status and body.
func (w *world) send(format, action string, p params) (int, string) {
	w.t.Helper()
	q := url.Values{
		"Action": {action}, "Version": {w.versions[action]}, "Format": {format},
		"AccessKeyId": {"testid"}, "SignatureMethod": {"HMAC-SHA1"}, "SignatureVersion": {"1.0"},
		"SignatureNonce": {fmt.Sprint("n", w.nonce.Add(1))}, "Timestamp": {time.Now().UTC().Format(time.RFC3339)},
	}
	for i := 0; i+1 < len(p); i += 2 {
		if name, more := strings.CutPrefix(p[i], "&"); more {
			q.Add(name, p[i+1])
		} else {
			q.Set(p[i], p[i+1])
		}
	}
	rpc.SignV1(http.MethodPost, q, "testsecret")
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(q.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec.Code, rec.Body.String()
}

// answer is a JSON body with ways to look inside.
type answer map[string]any

// try makes a call and returns its answer, whatever it is.
func (w *world) try(action string, p ...string) (int, answer) {
	w.t.Helper()
	status, body := w.send("JSON", action, p)
	var a answer
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		w.t.Fatalf("%s: %v in %s", action, err, body)
	}
	return status, a
}

// ok makes a call that must succeed.
func (w *world) ok(action string, p ...string) answer {
	w.t.Helper()
	status, a := w.try(action, p...)
	if status != http.StatusOK {
		w.t.Fatalf("%s %q: HTTP %d %v", action, p, status, a)
	}
	return a
}

// generalText begins the documented text for a value that no other error is about.
const generalText = `The specified parameter "`

// fails makes a call that must be refused with this very error and change
// nothing. Behind the text of the error may stand the reason; behind the general
// text one must.
func (w *world) fails(want *slb.Error, action string, p ...string) {
	w.t.Helper()
	before := w.store.State().Revision
	status, a := w.try(action, p...)
	message, _ := a["Message"].(string)
	reason, found := strings.CutPrefix(message, want.Message)
	if status != want.Status || a["Code"] != want.Code || !found || strings.HasPrefix(want.Message, generalText) && reason == "" {
		w.t.Errorf("%s %q:\n got HTTP %d %v: %v\nwant HTTP %d %s: %s", action, p,
			status, a["Code"], a["Message"], want.Status, want.Code, want.Message)
	}
	if after := w.store.State().Revision; after != before {
		w.t.Errorf("%s %q: was refused and yet changed the store (revision %d, was %d)", action, p, after, before)
	}
}

// at follows a path of keys and indexes: "Tags", "Tag", 0.
func (a answer) at(t testing.TB, path ...any) any {
	t.Helper()
	var v any = map[string]any(a)
	for _, step := range path {
		switch s := step.(type) {
		case string:
			m, ok := v.(map[string]any)
			if !ok || m[s] == nil {
				t.Fatalf("no %q of %v in %v", s, path, a)
			}
			v = m[s]
		case int:
			l, ok := v.([]any)
			if !ok || s >= len(l) {
				t.Fatalf("no element %d of %v in %v", s, path, a)
			}
			v = l[s]
		}
	}
	return v
}

func (a answer) text(t testing.TB, path ...any) string {
	t.Helper()
	s, ok := a.at(t, path...).(string)
	if !ok {
		t.Fatalf("%v is no text in %v", path, a)
	}
	return s
}

// placeholders stand in parameters for ids that differ from run to run; each is
// the first of its kind by name. $LB is the instance of the table.
var placeholders = map[string]func(s *slb.State) string{
	"$ACL": func(s *slb.State) string {
		return firstByName(s.AccessControlLists, func(v *slb.AccessControlList) (string, string) { return v.Name, v.ID })
	},
}

func firstByName[T any](table slb.Table[T], of func(*T) (name, id string)) string {
	var bestName, bestID string
	for _, v := range table.All() {
		if name, id := of(v); bestID == "" || name < bestName {
			bestName, bestID = name, id
		}
	}
	return bestID
}

// fill puts ids in the place of their placeholders; LB alone is $LB.
func (w *world) fill(text, lb string) string {
	if text == "LB" {
		return lb
	}
	text = strings.ReplaceAll(text, "$LB", lb)
	for name, find := range placeholders {
		if strings.Contains(text, name) {
			text = strings.ReplaceAll(text, name, find(w.store.State()))
		}
	}
	return text
}

// create makes an instance and returns its id.
func (w *world) create(p ...string) string {
	w.t.Helper()
	return w.ok("CreateLoadBalancer", append([]string{"RegionId", "cn-hangzhou"}, p...)...).text(w.t, "LoadBalancerId")
}

// servers registers i-1 to i-n at 10.0.0.1 and on.
func (w *world) servers(n int) {
	w.t.Helper()
	for i := 1; i <= n; i++ {
		w.ok("RegisterServer", "ServerId", fmt.Sprintf("i-%d", i), "Address.1", fmt.Sprintf("10.0.%d.%d", i/250, i%250+1))
	}
}

// tcp makes a TCP listener.
func (w *world) tcp(lb string, port int, p ...string) {
	w.t.Helper()
	w.ok("CreateLoadBalancerTCPListener", append([]string{"LoadBalancerId", lb, "ListenerPort", strconv.Itoa(port),
		"BackendServerPort", "8080", "Bandwidth", "-1"}, p...)...)
}

// http makes an HTTP listener.
func (w *world) http(lb string, port int, p ...string) {
	w.t.Helper()
	w.ok("CreateLoadBalancerHTTPListener", append([]string{"LoadBalancerId", lb, "ListenerPort", strconv.Itoa(port),
		"BackendServerPort", "8080", "HealthCheck", "off"}, p...)...)
}

// group is the default group of an instance as "id=weight" texts.
func (w *world) group(lb string) string {
	w.t.Helper()
	v, ok := w.store.State().LoadBalancers.Get(lb)
	if !ok {
		w.t.Fatalf("no instance %s", lb)
	}
	var out []string
	for _, b := range v.BackendServers {
		out = append(out, fmt.Sprintf("%s=%d", b.ServerID, b.Weight))
	}
	return strings.Join(out, " ")
}

// wellFormed reports whether text is XML.
func wellFormed(text string) error {
	var v struct{}
	return xml.Unmarshal([]byte(text), &v)
}
