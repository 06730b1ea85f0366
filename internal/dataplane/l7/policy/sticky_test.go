package policy

import (
	"bytes"
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

var (
	inserting = spec.Sticky{Mode: spec.StickyInsert, Timeout: 100 * time.Second}
	serving   = spec.Sticky{Mode: spec.StickyServer, Cookie: "SID"}
)

func targetsOf(ids ...string) []spec.Target {
	var out []spec.Target
	for _, id := range ids {
		out = append(out, spec.Target{ID: id, Addr: netip.MustParseAddrPort("10.0.0.1:80"), Weight: 100})
	}
	return out
}

func groupOf(t testing.TB, ids ...string) *pool.Pool {
	p := pool.NewStatic(targetsOf(ids...)...)
	t.Cleanup(p.Close)
	return p
}

func sticking(o spec.Sticky, p *pool.Pool) *Snapshot {
	return NewSnapshot([]byte("secret"), frontend(spec.HTTPOptions{Sticky: &o}), p)
}

// member finds a member by its ID.
func member(t testing.TB, p *pool.Pool, id string) *pool.Member {
	for _, m := range p.Usable() {
		if m.ID() == id {
			return m
		}
	}
	t.Fatalf("no member %s", id)
	return nil
}

// ask decides at a time and has the server of that ID, or the one picked,
// answer; it returns who that was and the mark.
func ask(t testing.TB, s *Snapshot, p *pool.Pool, cookies string, now int64, id string, status int) (plan Plan, server string, mark Mark) {
	plan = s.Decide(&View{Cookie: []byte(cookies), Now: now})
	m := plan.Pick()
	if id != "" {
		m = member(t, p, id)
	}
	mark, _ = plan.AppendMark(nil, status, m)
	return plan, m.ID(), mark
}

// without is what is left of cookies.
func without(cookies string, cuts [MaxCuts][2]int) string {
	left, from := "", 0
	for _, cut := range cuts {
		if cut[1] > 0 {
			left, from = left+cookies[from:cut[0]], cut[1]
		}
	}
	return left + cookies[from:]
}

// value is the cookie of a line.
func value(t testing.TB, m Mark) string {
	t.Helper()
	v, ok := strings.CutPrefix(string(m.Line), "Set-Cookie: SERVERID=")
	v, end := strings.CutSuffix(v, "; Path=/\r\n")
	if !ok || !end || len(v) != markText {
		t.Fatalf("line %q", m.Line)
	}
	return "SERVERID=" + v
}

func TestInsert(t *testing.T) {
	p := groupOf(t, "a", "b", "c")
	s := sticking(inserting, p)
	const start = 1_700_000_000
	_, _, mark := ask(t, s, p, "", start, "b", 200)
	cookie := value(t, mark)
	if strings.Contains(cookie, "b@") {
		t.Errorf("cookie %q", cookie)
	}
	for _, c := range []struct {
		name    string
		cookies string
		after   int64
		status  int
		sticks  bool
		renewed bool
	}{
		{"at once", cookie, 0, 200, true, false},
		{"among others", "a=b; " + cookie + ";c=d", 5, 200, true, false},
		{"after one that is not ours", "SERVERID=" + strings.Repeat("A", markText) + "; " + cookie, 5, 200, true, false},
		{"before what ends in nothing", cookie + "; ", 5, 200, true, false},
		{"after a useless one", "SERVERID=old; XSERVERID=x;SERVERID=; " + cookie, 5, 200, true, false},
		{"aged", cookie, 10, 200, true, true},
		{"aged, refused", cookie, 10, 404, true, false},
		{"aged, failed", cookie, 10, 500, true, true},
		{"at the end", cookie, 100, 302, true, true},
		{"too old", cookie, 101, 200, false, true},
		{"much too old, not found", cookie, 1 << 30, 404, false, false},
		{"another clock", cookie, -3, 200, true, false},
		{"another name", "serverid=" + cookie[9:], 0, 200, false, true},
		{"truncated", cookie[:len(cookie)-1], 0, 200, false, true},
		{"longer", cookie + "A", 0, 200, false, true},
		{"none", "", 0, 200, false, true},
	} {
		stuck := 0
		for range 12 {
			plan, server, mark := ask(t, s, p, c.cookies, start+c.after, "", c.status)
			if server == "b" {
				stuck++
			}
			if renewed := mark.Line != nil; renewed != c.renewed {
				t.Fatalf("%s: line %q", c.name, mark.Line)
			}
			if plan.Cuts != [MaxCuts][2]int{} || mark.Cookie != "" || mark.Prefix != nil {
				t.Errorf("%s: plan %+v, mark %+v", c.name, plan, mark)
			}
		}
		if (stuck == 12) != c.sticks {
			t.Errorf("%s: %d of 12 requests go to the server", c.name, stuck)
		}
	}
}

// Every change of a cookie makes it useless.
func TestMarkIsGuarded(t *testing.T) {
	p := groupOf(t, "a", "b")
	s := sticking(inserting, p)
	_, _, mark := ask(t, s, p, "", 1000, "b", 200)
	cookie := value(t, mark)
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=%"
	for i := len("SERVERID="); i < len(cookie); i++ {
		for _, c := range alphabet {
			forged := cookie[:i] + string(c) + cookie[i+1:]
			if plan := s.Decide(&View{Cookie: []byte(forged), Now: 1000}); forged != cookie && plan.Member != nil {
				t.Errorf("%q counts as %q", forged, cookie)
			}
		}
	}
	// Nor does it count elsewhere.
	f := frontend(spec.HTTPOptions{Sticky: &inserting})
	f.ID.Instance = "lb-2"
	for name, other := range map[string]*Snapshot{
		"another instance": NewSnapshot([]byte("secret"), f, p),
		"another secret":   NewSnapshot([]byte("secrets"), frontend(spec.HTTPOptions{Sticky: &inserting}), p),
	} {
		if plan := other.Decide(&View{Cookie: []byte(cookie), Now: 1000}); plan.Member != nil {
			t.Errorf("it counts with %s", name)
		}
	}
	beside := frontend(spec.HTTPOptions{Sticky: &inserting})
	beside.ID.Port++
	if plan := NewSnapshot([]byte("secret"), beside, p).Decide(&View{Cookie: []byte(cookie), Now: 1000}); plan.Member == nil {
		t.Error("another listener of the instance with the same servers does not know it")
	}
	again := NewSnapshot([]byte("secret"), frontend(spec.HTTPOptions{Sticky: &inserting}), p)
	if plan := again.Decide(&View{Cookie: []byte(cookie), Now: 1000}); plan.Member == nil {
		t.Error("it does not survive a restart")
	}
}

// TestServerGone: the session is scheduled afresh and the cookie given anew.
func TestServerGone(t *testing.T) {
	p := groupOf(t, "a", "b")
	s := sticking(inserting, p)
	_, _, mark := ask(t, s, p, "", 1000, "b", 200)
	cookie := value(t, mark)
	elsewhere := func(why string) {
		t.Helper()
		_, server, mark := ask(t, s, p, cookie, 1001, "", 200)
		if server != "a" || mark.Line == nil || value(t, mark) == cookie {
			t.Errorf("%s: %s answers, line %q", why, server, mark.Line)
		}
	}
	stopped := targetsOf("a", "b")
	for why, change := range map[string]func(*spec.Target){
		"no weight": func(t *spec.Target) { t.Weight = 0 },
		"disabled":  func(t *spec.Target) { t.Disabled = true },
		"moved":     func(t *spec.Target) { t.Addr = netip.MustParseAddrPort("10.0.0.2:80") },
	} {
		targets := targetsOf("a", "b")
		change(&targets[1])
		if why == "moved" {
			targets[0].Weight, targets = 100, targets[:1]
		}
		p.Update(spec.Pool{ID: "p", Scheduler: spec.WRR, Targets: targets})
		elsewhere(why)
	}
	p.Update(spec.Pool{ID: "p", Scheduler: spec.WRR, Targets: stopped})
	if _, server, mark := ask(t, s, p, cookie, 1001, "", 200); server != "b" || mark.Line != nil {
		t.Errorf("back again: %s answers, line %q", server, mark.Line)
	}
	p.Update(spec.Pool{ID: "p", Scheduler: spec.WRR})
	if plan := s.Decide(&View{Cookie: []byte(cookie), Now: 1001}); plan.Pick() != nil {
		t.Error("a server out of nowhere")
	}
}

// TestServerFailed: who answers in another's place gets the session.
func TestServerFailed(t *testing.T) {
	p := groupOf(t, "a", "b")
	s := sticking(inserting, p)
	_, _, mark := ask(t, s, p, "", 1000, "b", 200)
	_, _, mark = ask(t, s, p, value(t, mark), 1000, "a", 200)
	if _, server, _ := ask(t, s, p, value(t, mark), 1000, "", 200); server != "a" {
		t.Errorf("%s answers", server)
	}
}

func TestServerCookie(t *testing.T) {
	p := groupOf(t, "a", "b")
	s := sticking(serving, p)
	_, _, mark := ask(t, s, p, "SERVERID=x", 1000, "b", 200)
	if mark.Line != nil || mark.Cookie != "SID" || len(mark.Prefix) != markText+1 {
		t.Fatalf("mark %+v", mark)
	}
	prefix := string(mark.Prefix)
	for _, c := range []struct {
		cookies, left string // what the server gets
		sticks        bool
	}{
		{"SID=" + prefix + "app", "SID=app", true},
		{"a=b; SID=" + prefix + `"x y";c=d`, `a=b; SID="x y";c=d`, true},
		{`a=b; SID="` + prefix + `x y"; c=d`, `a=b; SID="x y"; c=d`, true},
		{`SID="` + prefix + `"`, `SID=""`, true},
		{`SID="`, "", false},
		{"SID=plain; SID=" + prefix, "SID=plain; SID=", true},
		{"SID=" + prefix[:len(prefix)-1], "", false},
		{"SID=" + strings.Replace(prefix, ".", "_", 1) + "app", "", false},
		{"XSID=" + prefix + "app", "XSID=app", false}, // marked under another name once
		{"OLD=" + prefix + "old; SID=" + prefix + "app", "OLD=old; SID=app", true},
		{"SID=" + prefix + "app; OLD=\"" + prefix + "old\"; x=y; SID=" + prefix, "SID=app; OLD=\"old\"; x=y; SID=", true},
		{strings.Repeat("x="+prefix+"; ", MaxCuts) + "SID=" + prefix, strings.Repeat("x=; ", MaxCuts) + "SID=" + prefix, false},
		{"SID=app", "", false},
	} {
		view := View{Cookie: []byte(c.cookies), Now: 1 << 31}
		plan := s.Decide(&view)
		if (plan.Member != nil) != c.sticks {
			t.Errorf("%q: member %v", c.cookies, plan.Member)
		}
		left := without(c.cookies, plan.Cuts)
		if left != cmp.Or(c.left, c.cookies) {
			t.Errorf("%q: the server gets %q", c.cookies, left)
		}
	}
	// The mark of a server that is gone is not for the application either.
	p.Update(spec.Pool{ID: "p", Scheduler: spec.WRR, Targets: targetsOf("a")})
	if plan := s.Decide(&View{Cookie: []byte("SID=" + prefix + "app")}); plan.Member != nil || plan.Cuts[0][1] == 0 {
		t.Errorf("plan %+v", plan)
	}
	// Marked whatever the status: it is the server's cookie.
	if _, _, mark := ask(t, s, p, "", 1000, "a", 404); len(mark.Prefix) == 0 {
		t.Errorf("mark %+v", mark)
	}
}

// TestFormerServerCookie: when cookies are not marked any more, servers get those
// of before as they were.
func TestFormerServerCookie(t *testing.T) {
	p := groupOf(t, "a", "b")
	_, _, mark := ask(t, sticking(serving, p), p, "", 1000, "b", 200)
	prefix := string(mark.Prefix)
	for name, o := range map[string]spec.Sticky{
		"off":    {Mode: spec.StickyOff, Cookie: "SID"},
		"insert": {Mode: spec.StickyInsert, Timeout: time.Hour, Cookie: "SID"},
	} {
		s := sticking(o, p)
		for cookies, want := range map[string]string{
			"SID=" + prefix + "app":                      "SID=app",
			"a=b; SID=" + prefix + "app; c=d":            "a=b; SID=app; c=d",
			`SID="` + prefix + `app"`:                    `SID="app"`,
			"SID=x; SID=" + prefix + "app":               "SID=x; SID=app",
			"=" + prefix + "app":                         "=app",
			"SID=app":                                    "SID=app",
			"XSID=" + prefix + "app":                     "XSID=app",
			"SID=" + strings.ToUpper(prefix) + "app":     "SID=" + strings.ToUpper(prefix) + "app",
			"SID=" + strings.Repeat("x", markText) + ".": "SID=" + strings.Repeat("x", markText) + ".",
		} {
			plan := s.Decide(&View{Cookie: []byte(cookies), Now: 1000})
			if left := without(cookies, plan.Cuts); left != want {
				t.Errorf("%s: of %q the server gets %q", name, cookies, left)
			}
			if plan.Member != nil {
				t.Errorf("%s: %q decides about the server", name, cookies)
			}
			mark, _ := plan.AppendMark(nil, 200, p.Pick(0))
			if mark.Cookie != "" || (mark.Line != nil) != (name == "insert") {
				t.Errorf("%s: the answer carries %+v", name, mark)
			}
		}
	}
}

// TestRuleSessions: a rule has its own, or none.
func TestRuleSessions(t *testing.T) {
	own, rule, plain := groupOf(t, "a", "b"), groupOf(t, "a", "b"), groupOf(t, "a", "b")
	s := NewSnapshot(nil, frontend(spec.HTTPOptions{Sticky: &inserting, Rules: []spec.Rule{{Domain: "r.test", Sticky: &serving}, {Domain: "p.test"}}}), own, rule, plain)
	for host, want := range map[string]string{"x.test": "insert", "r.test": "server", "p.test": "none"} {
		plan := s.Decide(&View{Host: []byte(host), Target: []byte("/")})
		mark, _ := plan.AppendMark(nil, 200, plan.Pick())
		got := "none"
		if mark.Line != nil {
			got = "insert"
		} else if mark.Prefix != nil {
			got = "server"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
	if !s.Sessions() || NewSnapshot(nil, frontend(spec.HTTPOptions{}), own).Sessions() {
		t.Error("Sessions is wrong")
	}
}

func TestSessionsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget on purpose")
	}
	p := groupOf(t, "a", "b", "c", "d")
	for name, o := range map[string]spec.Sticky{"insert": inserting, "server": serving} {
		s := sticking(o, p)
		_, _, mark := ask(t, s, p, "", 1000, "c", 200)
		cookies := []byte("a=b; SID=" + string(mark.Prefix) + "x")
		if o.Mode == spec.StickyInsert {
			cookies = []byte("a=b; " + value(t, mark))
		}
		scratch := make([]byte, 0, 256)
		n := testing.AllocsPerRun(100, func() {
			plan := s.Decide(&View{Cookie: cookies, Now: 1050})
			if plan.Pick().ID() != "c" {
				t.Fatal("lost")
			}
			_, scratch = plan.AppendMark(scratch[:0], 200, plan.Member)
		})
		if n > 0.1 {
			t.Errorf("%s: %.1f allocations", name, n)
		}
	}
}

func BenchmarkSession(b *testing.B) {
	p := groupOf(b, "a", "b", "c", "d")
	s := sticking(inserting, p)
	_, _, mark := ask(b, s, p, "", 1000, "c", 200)
	cookies := []byte("a=b; " + value(b, mark))
	b.ReportAllocs()
	for b.Loop() {
		plan := s.Decide(&View{Cookie: cookies, Now: 1005})
		plan.AppendMark(nil, 200, plan.Pick())
	}
}

func FuzzCookieValue(f *testing.F) {
	for _, s := range []string{"", "SID=1", "a=b; SID=2 ;c", "a=b; ", "SID=; ", "SID;SID=;XSID=3;SID= 4\t", ";;=;SID==5"} {
		f.Add([]byte(s), "SID")
	}
	f.Fuzz(func(t *testing.T, header []byte, name string) {
		if strings.ContainsAny(name, "=; \t") || name == "" {
			return
		}
		var got, want []string
		for from := 0; from < len(header); {
			start, end, next := cookieValue(header, from, name)
			if start < 0 {
				break
			}
			if next <= from || end < start || end > len(header) {
				t.Fatalf("from %d: %d %d %d", from, start, end, next)
			}
			got, from = append(got, string(header[start:end])), next
		}
		for pair := range bytes.SplitSeq(header, []byte(";")) {
			pair = bytes.TrimLeft(pair, " \t")
			if v, ok := bytes.CutPrefix(pair, []byte(name+"=")); ok {
				want = append(want, string(bytes.TrimRight(v, " \t")))
			}
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	})
}
