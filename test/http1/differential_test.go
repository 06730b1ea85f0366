package http1

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/openslb/openslb/internal/testutil"
)

var update = flag.Bool("update", false, "write docs/http1-corpus.md anew")

// outcome is what came of an entry with one proxy.
type outcome struct {
	statuses []int      // of the answers to the client
	sees     []*request // by the server, as the strict reader understands it
	doubt    string     // what two readers of the same bytes disagree about
	rest     string     // what else the server got, and no request is whole in
}

// refused tells whether the last answer was the proxy's refusal.
func (o *outcome) refused() bool {
	return len(o.statuses) > 0 && o.statuses[len(o.statuses)-1] >= 400
}

func (o *outcome) String() string {
	switch {
	case o.doubt != "":
		return "loose"
	case o.refused():
		return fmt.Sprint(o.statuses[len(o.statuses)-1])
	case slices.Contains(o.statuses, 500):
		return "500"
	case len(o.sees) > 0:
		return "passed"
	}
	return "closed"
}

// gather tells, when it is called, what the server has got of one entry.
func gather(t testing.TB, rec *recorder) func() *outcome {
	return func() *outcome {
		o := new(outcome)
		for _, b := range rec.take(t) {
			strict, err := readStrictly(b)
			o.sees = append(o.sees, strict...)
			switch {
			case err == nil:
				if lenient, err := readLikeNetHTTP(b); err != nil {
					o.doubt = fmt.Sprintf("net/http: %v in %q", err, b)
				} else if d := agree(strict, lenient); d != "" {
					o.doubt = d
				}
			case errors.Is(err, errShort):
				o.rest = string(b)
			default:
				o.doubt = err.Error()
			}
		}
		return o
	}
}

// sawOnly compares what the server got, but for fields of ours, with what had to
// come to it. part allows for a part of a request beside.
func (o *outcome) sawOnly(sees []string, part bool, ours ...string) error {
	if o.doubt != "" {
		return fmt.Errorf("what the server got is loose: %s", o.doubt)
	}
	if o.rest != "" && !part {
		return fmt.Errorf("the server got a part of a request: %q", o.rest)
	}
	var got []string
	for _, r := range o.sees {
		r.fields = slices.DeleteFunc(r.fields, func(f string) bool {
			return slices.ContainsFunc(ours, func(name string) bool { return strings.HasPrefix(f, name) })
		})
		got = append(got, r.String())
	}
	if !slices.Equal(got, sees) {
		return fmt.Errorf("the server saw\n  %.1000q, not\n  %.1000q", got, sees)
	}
	return nil
}

// try sends an entry to a proxy and gathers what comes of it. piece is how many
// bytes are sent at a time; 0: all at once.
func try(t testing.TB, p *proxy, rec *recorder, e *entry, piece int) *outcome {
	t.Helper()
	c, err := p.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		text := e.in
		if !e.want.cut {
			text += sentinel
		}
		for len(text) > 0 {
			n := len(text)
			if piece > 0 {
				n = min(n, piece)
			}
			if _, err := io.WriteString(c, text[:n]); err != nil {
				return // refused before the end
			}
			text = text[n:]
		}
		if e.want.cut {
			c.CloseWrite()
		}
	}()
	got, err := io.ReadAll(c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s through %s: no end, after %q", e.name, p.name, got)
	}
	c.Close()
	<-sent
	o := gather(t, rec)()
	br := bufio.NewReader(bytes.NewReader(got))
	for i := 0; ; i++ {
		if _, err := br.Peek(1); err != nil {
			break
		}
		asked := &http.Request{Method: "GET"}
		if i < len(o.sees) {
			asked.Method = o.sees[i].method
		}
		a, err := http.ReadResponse(br, asked)
		if err != nil {
			t.Errorf("%s through %s: answer %d is malformed: %v in %q", e.name, p.name, i+1, err, got)
			break
		}
		if _, err := io.ReadAll(a.Body); err != nil && len(o.rest) == 0 {
			t.Errorf("%s through %s: answer %d is cut off: %v in %q", e.name, p.name, i+1, err, got)
		}
		o.statuses = append(o.statuses, a.StatusCode)
	}
	return o
}

// judge compares what came of an entry with what had to.
func judge(e *entry, o *outcome) error {
	w := e.want
	sees := slices.Clone(w.sees)
	var statuses []int
	for range sees {
		statuses = append(statuses, 200)
	}
	if w.status != 0 {
		statuses = append(statuses, w.status)
	}
	if !w.last && !w.cut && w.status == 0 || w.goesOn {
		sees, statuses = append(sees, sentinelSeen), append(statuses, 200)
	}
	// The one header of ours that cannot be switched off.
	if err := o.sawOnly(sees, w.status != 0 || w.cut, "SLB-Hops:"); err != nil {
		return err
	}
	if w.cut && w.status == 0 { // nobody has to be there to read an answer
		if len(o.statuses) > 0 && !o.refused() {
			return fmt.Errorf("answers %v to what has no end", o.statuses)
		}
		return nil
	}
	if !slices.Equal(o.statuses, statuses) {
		return fmt.Errorf("answers %v, not %v", o.statuses, statuses)
	}
	return nil
}

// TestRequests sends the corpus through both drivers, and over TLS: at once; in
// pieces; and what is passed also to servers that keep their connections, one
// request behind the other. Nothing may come of the way.
func TestRequests(t *testing.T) {
	testutil.NoLeaks(t)
	for _, w := range ways {
		for _, pass := range []struct {
			name         string
			keep, pieces bool
		}{{"at once", false, false}, {"in pieces", false, true}, {"kept", true, false}} {
			t.Run(w.name+"/"+pass.name, func(t *testing.T) {
				t.Parallel()
				rec := newRecorder(t)
				rec.set(pass.keep, welcome)
				p := openSLB(t, w, rec.addr)
				for _, e := range corpus() {
					if pass.keep && (e.want.status != 0 || e.want.cut) {
						continue
					}
					piece := 0
					if pass.pieces {
						piece = 1 + len(e.in)/150 // a byte at a time, if it is short
					}
					o := try(t, p, rec, &e, piece)
					if err := judge(&e, o); err != nil {
						t.Errorf("%s: %v\nreason: %s", e.name, err, e.why)
					}
				}
			})
		}
	}
}

// TestPeers sends the corpus through nginx and HAProxy as well and tells where
// they are stricter or laxer than we are. That is no judgement: it depends on
// their versions, and where we are the laxer one the entry gives a reason.
func TestPeers(t *testing.T) {
	t.Parallel() // it waits a lot for what has no end
	entries := corpus()
	columns := make([][]*outcome, 3)
	names := []string{"openslb", "nginx", "haproxy"}
	var all sync.WaitGroup
	for i := range columns {
		rec := newRecorder(t)
		rec.set(false, welcome)
		p := []func() *proxy{
			func() *proxy { return openSLB(t, ways[1], rec.addr) },
			func() *proxy { return startNginx(t, rec.addr) },
			func() *proxy { return startHAProxy(t, rec.addr) },
		}[i]()
		all.Go(func() {
			for _, e := range entries {
				columns[i] = append(columns[i], try(silent{t}, p, rec, &e, 0))
			}
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	count := map[string]int{}
	var page bytes.Buffer
	for n, e := range entries {
		fmt.Fprintf(&page, "| %s |", cell(e.name))
		us := columns[0][n]
		for i, name := range names {
			them := columns[i][n]
			fmt.Fprintf(&page, " %s |", them)
			switch a, b := us.refused(), them.refused(); {
			case them.doubt != "":
				count[name+" passes what is loose"]++
				t.Logf("%s passes what is loose: %s: %.300s", name, e.name, them.doubt)
			case a && !b:
				count["stricter than "+name]++
			case b && !a:
				count["laxer than "+name]++
				t.Logf("laxer than %s: %s: %s", name, e.name, e.why)
			}
		}
		fmt.Fprintf(&page, " %s |\n", cell(e.why))
	}
	t.Logf("%d entries: %v", len(entries), count)
	if *update {
		if err := os.WriteFile("../../docs/http1-corpus.md", append([]byte(pageHead), page.Bytes()...), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// TestPage: the page of results has a row for every entry, with what has to come
// of it.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/http1-corpus.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range corpus() {
		row := "\n| " + cell(e.name) + " | "
		switch w := e.want; {
		case w.cut:
		case w.status != 0:
			row += fmt.Sprint(w.status, " | ")
		default:
			row += "passed | "
		}
		if !bytes.Contains(page, []byte(row)) {
			t.Errorf("docs/http1-corpus.md has no row %q; write it anew by -update", row[1:])
		}
	}
}

// cell is text for a table.
func cell(s string) string {
	return strings.NewReplacer("|", "&#124;", "\v", " ", "\f", " ").Replace(s)
}

// silent is for proxies whose faults are not ours.
type silent struct{ testing.TB }

func (silent) Errorf(string, ...any) {}
func (silent) Helper()               {}

const pageHead = `# Requests that two readers could understand differently

The corpus of ` + "`test/http1`" + `, and what comes of each entry: the status of a refusal, *passed* to the server, *closed* without a word,
or *loose*, where what the server gets is no request by the letter of RFC 9112 or two readers of it disagree. The column of
OpenSLB is tested with every commit, on both drivers and over TLS; those of nginx and HAProxy were seen with the versions of Debian 12 and the settings in
` + "`test/http1/proxies_test.go`" + ` and stand for no judgement. Written by ` + "`go test ./test/http1 -run TestPeers -update`" + `.

| entry | OpenSLB | nginx | HAProxy | reason |
|---|---|---|---|---|
`
