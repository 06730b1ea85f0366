package model

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// draws are choices by rapid.
type draws struct{ t *rapid.T }

func (d draws) below(n int) int { return rapid.IntRange(0, n-1).Draw(d.t, "choice") }

// run is one sequence of calls against a system, with the state that they
// should have led to.
type run struct {
	*system
	state     *state
	fail, log func(format string, args ...any)
}

// apply makes a call and judges it. A call that fails is made once more in the
// other format: it has changed nothing, and the error must be the same.
func (r *run) apply(c call, formats ...string) {
	a, err := r.send(formats[0], c)
	if err != nil {
		r.fail("%v", err)
		return
	}
	r.log("%s %v -> %d %s %s", formats[0], c, a.status, a.code, a.message)
	if err := r.state.step(c, a); err != nil {
		r.fail("%s: %v", formats[0], err)
	}
	if a.code == "" {
		return
	}
	b, err := r.send(formats[1], c)
	if err != nil {
		r.fail("%v", err)
	}
	if a.code != b.code || a.status != b.status || a.message != b.message {
		r.fail("%v: %s answers %d %s %q, %s %d %s %q", c, formats[0], a.status, a.code, a.message, formats[1], b.status, b.code, b.message)
	}
}

// read asks in both formats and judges the content once.
func (r *run) read(c call) {
	j, err := r.send("JSON", c)
	if err != nil {
		r.fail("%v", err)
		return
	}
	x, err := r.send("XML", c)
	if err != nil {
		r.fail("%v", err)
		return
	}
	if j.code != x.code || j.code == "" && j.body.String() != x.body.String() {
		r.fail("%v: the formats differ:\nJSON %s %v\n XML %s %v", c, j.code, j.body, x.code, x.body)
	}
	if err := r.state.step(c, j); err != nil {
		r.fail("read: %v", err)
	}
}

// reads are calls that show everything there is, and that what is gone is gone.
func (s *state) reads() []call {
	out := []call{
		makeCall("DescribeLoadBalancers", "PageSize", "100"),
		makeCall("DescribeServerCertificates"),
	}
	for _, id := range s.order {
		switch kind, _, _ := strings.Cut(id, "-"); kind {
		case "lb":
			out = append(out, makeCall("DescribeLoadBalancerAttribute", "LoadBalancerId", id))
			for _, l := range s.balancers[id].listeners {
				out = append(out, makeCall("DescribeLoadBalancer"+strings.ToUpper(l.protocol)+"ListenerAttribute", "LoadBalancerId", id, "ListenerPort", l.port))
			}
			out = append(out, makeCall("DescribeLoadBalancerTCPListenerAttribute", "LoadBalancerId", id, "ListenerPort", "7001"))
		case "rsp":
			out = append(out, makeCall("DescribeVServerGroupAttribute", "VServerGroupId", id))
		case "rule":
			out = append(out, makeCall("DescribeRuleAttribute", "RuleId", id))
		case "acl":
			out = append(out, makeCall("DescribeAccessControlListAttribute", "AclId", id))
		}
	}
	return out
}

func (r *run) readBack() {
	for _, c := range r.state.reads() {
		r.read(c)
	}
}

// clear deletes whatever a run before this one has left.
func (r *run) clear() {
	must := func(c call) answer {
		a, err := r.send("JSON", c)
		if err != nil || a.code != "" {
			r.fail("clear: %v: %s %s %v", c, a.code, a.message, err)
			return answer{body: &tree{}}
		}
		return a
	}
	for _, t := range must(makeCall("DescribeLoadBalancers", "PageSize", "100")).body.list("LoadBalancers", "LoadBalancer") {
		must(makeCall("SetLoadBalancerDeleteProtection", "LoadBalancerId", t.get("LoadBalancerId"), "DeleteProtection", "off"))
		must(makeCall("DeleteLoadBalancer", "LoadBalancerId", t.get("LoadBalancerId")))
	}
	for _, t := range must(makeCall("DescribeAccessControlLists")).body.list("Acls", "Acl") {
		must(makeCall("DeleteAccessControlList", "AclId", t.get("AclId")))
	}
	for _, t := range must(makeCall("DescribeServerCertificates")).body.list("ServerCertificates", "ServerCertificate") {
		must(makeCall("DeleteServerCertificate", "ServerCertificateId", t.get("ServerCertificateId")))
	}
}

// newRun begins with an empty system, apart from a first balancer.
func newRun(t *rapid.T, s *system) *run {
	r := &run{system: s, state: newState(), fail: t.Fatalf, log: t.Logf}
	r.clear()
	r.apply(makeCall("CreateLoadBalancer", "LoadBalancerName", "first"), "JSON", "XML")
	return r
}

// steps are what a run does.
func (r *run) steps() map[string]func(*rapid.T) {
	order := func(t *rapid.T) []string {
		if rapid.Bool().Draw(t, "XML first") {
			return []string{"XML", "JSON"}
		}
		return []string{"JSON", "XML"}
	}
	good := func(t *rapid.T) {
		d := draws{t}
		r.apply(wellFormed[d.below(len(wellFormed))](r.state, d), order(t)...)
	}
	return map[string]func(*rapid.T){
		"call": good, "another": good, "third": good,
		"malformed": func(t *rapid.T) {
			d := draws{t}
			r.apply(malformed[d.below(len(malformed))](r.state, d), order(t)...)
		},
		"read": func(t *rapid.T) {
			reads := r.state.reads()
			r.read(reads[draws{t}.below(len(reads))])
		},
	}
}

// TestModel makes random calls and compares every answer, and at the end of
// every run all that is there, with the model.
func TestModel(t *testing.T) {
	s := startNode(t)
	rapid.Check(t, func(t *rapid.T) {
		r := newRun(t, s)
		t.Repeat(r.steps())
		r.readBack()
	})
}

// TestModelKilled is TestModel on a node of its own process that is killed
// between calls: whatever was answered is there after the restart.
func TestModelKilled(t *testing.T) {
	p := startProcess(t)
	kills := 0
	few(t, "3")
	rapid.Check(t, func(t *rapid.T) {
		r := newRun(t, p.system)
		steps := r.steps()
		delete(steps, "malformed")
		steps["kill"] = func(t *rapid.T) {
			if (draws{t}).below(2) == 0 {
				t.Skip("lives on")
			}
			kills++
			p.kill()
			p.system.http.CloseIdleConnections()
			p.start(p.t)
			r.readBack()
		}
		t.Repeat(steps)
		r.readBack()
	})
	if kills == 0 {
		t.Error("the node was never killed")
	}
}

// few sets the number of rapid's runs for this test, unless the command line has
// asked for more of them.
func few(t *testing.T, checks string) {
	t.Helper()
	f := flag.Lookup("rapid.checks")
	if before := f.Value.String(); before == defaultChecks {
		t.Cleanup(func() { _ = f.Value.Set(before) })
		if err := f.Value.Set(checks); err != nil {
			t.Fatal(err)
		}
	}
}

// TestModelCanFail: the model notices an answer that is not true.
func TestModelCanFail(t *testing.T) {
	s := newState()
	made := func(id string) answer {
		body, err := parseJSON([]byte(fmt.Sprintf(`{"LoadBalancerId":%q,"LoadBalancerName":"a","Address":"127.0.0.1"}`, id)))
		if err != nil {
			t.Fatal(err)
		}
		return answer{status: 200, body: body}
	}
	create := makeCall("CreateLoadBalancer", "LoadBalancerName", "a")
	if err := s.step(create, made("lb-1")); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]struct {
		c call
		a answer
	}{
		"an id twice":                    {create, made("lb-1")},
		"an address twice":               {create, made("lb-2")},
		"an error for no reason":         {makeCall("DeleteLoadBalancer", "LoadBalancerId", "lb-1"), answer{status: 400, code: "OperationBusy"}},
		"success where there is none":    {makeCall("DeleteLoadBalancer", "LoadBalancerId", "lb-3"), answer{status: 200, body: &tree{}}},
		"another error than is true":     {makeCall("DeleteLoadBalancer", "LoadBalancerId", "lb-3"), answer{status: 400, code: "InvalidParameter"}},
		"a malformed call that succeeds": {wrong("InvalidParameter", "SetLoadBalancerStatus"), answer{status: 200, body: &tree{}}},
	} {
		if err := s.clone().step(bad.c, bad.a); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}

// TestTrees: the same content is the same in both formats, other content is not.
func TestTrees(t *testing.T) {
	j, err := parseJSON([]byte(`{"RequestId":"x","A":{"B":[{"C":1,"D":true},{"C":2}]},"E":{"F":[]},"G":["x","y"]}`))
	if err != nil {
		t.Fatal(err)
	}
	for text, equal := range map[string]bool{
		`<R><G>x</G><G>y</G><E/><A><B><C>1</C><D>true</D></B><B><C>2</C></B></A><RequestId>y</RequestId></R>`: true,
		`<R><G>y</G><G>x</G><E/><A><B><C>1</C><D>true</D></B><B><C>2</C></B></A></R>`:                         false,
		`<R><G>x</G><G>y</G><E/><A><B><C>1</C></B><B><C>2</C></B></A></R>`:                                    false,
		`<R><G>x</G><G>y</G><A><B><C>1</C><D>true</D></B><B><C>2</C></B></A></R>`:                             false,
	} {
		x, err := parseXML([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if (x.String() == j.String()) != equal {
			t.Errorf("%s\n%v\n%v", text, x, j)
		}
	}
	if _, err := parseJSON([]byte(`{"A":null}`)); err == nil {
		t.Error("null passes")
	}
}
