package model

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// source is a plain source of choices.
type source struct{ *rand.Rand }

func (s source) below(n int) int { return s.IntN(n) }

// point is a state with the text that it is compared by. It does not change.
type point struct {
	state *state
	text  string
}

// serial is the model as the checker wants it: pure, with states that can be
// compared. A step is possible when the model accepts the answer.
var serial = porcupine.Model{
	Init: func() any { return &point{state: newState()} },
	Step: func(before, input, output any) (bool, any) {
		p, c, a := before.(*point), input.(call), output.(answer)
		if a.code != "" { // whatever is true of it, it changes nothing
			return p.state.step(c, a) == nil, p
		}
		after := p.state.clone()
		if err := after.step(c, a); err != nil {
			return false, p
		}
		return true, &point{after, after.String()}
	},
	Equal:             func(a, b any) bool { return a == b || a.(*point).text == b.(*point).text },
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%v -> %s", input, output.(answer).code) },
}

// parts divides a history into what can be judged by itself: the default group,
// the servers of each other group, and the listeners with their rules and the
// groups that they name. Calls that make and end the balancer and its groups are
// in every part that needs them. DescribeLoadBalancerAttribute, which shows
// several parts at once, is in none.
func parts(history []porcupine.Operation) [][]porcupine.Operation {
	by := map[string][]porcupine.Operation{}
	names := []string{"default", "listeners"}
	for _, op := range history {
		c := op.Input.(call)
		group := c.params["VServerGroupId"]
		var to []string
		switch c.action {
		case "CreateLoadBalancer":
			to = []string{"default", "listeners"}
		case "DeleteLoadBalancer":
			to = names
		case "CreateVServerGroup":
			group = op.Output.(answer).body.get("VServerGroupId")
			names = append(names, group)
			by[group] = slices.Clone(by["default"][:1]) // the balancer
			to = []string{"listeners", group}
		case "DeleteVServerGroup":
			to = []string{"listeners"}
			if op.Output.(answer).code == "" {
				to = append(to, group)
			}
		case "AddVServerGroupBackendServers", "RemoveVServerGroupBackendServers", "DescribeVServerGroupAttribute":
			to = []string{group}
		case "AddBackendServers", "SetBackendServers", "RemoveBackendServers":
			to = []string{"default"}
		case "DescribeLoadBalancerAttribute":
		default:
			to = []string{"listeners"}
		}
		for _, name := range to {
			by[name] = append(by[name], op)
		}
	}
	var out [][]porcupine.Operation
	for _, name := range names {
		out = append(out, by[name])
	}
	return out
}

// whole is a history as the only part of itself.
func whole(history []porcupine.Operation) [][]porcupine.Operation {
	return [][]porcupine.Operation{history}
}

// history records calls with the time that they took.
type history struct {
	system *system
	began  time.Time

	mu         sync.Mutex // guards operations
	operations []porcupine.Operation
}

func (h *history) do(t *testing.T, caller int, c call) answer {
	at := time.Since(h.began)
	a, err := h.system.send("JSON", c)
	if err != nil {
		t.Error(err)
		return answer{body: &tree{}}
	}
	op := porcupine.Operation{ClientId: caller, Input: c, Call: at.Nanoseconds(), Output: a, Return: time.Since(h.began).Nanoseconds()}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, op)
	return a
}

// contested is what callers do at once to one balancer, its two groups and the
// rules that they make.
func contested(r chooser, lb string, groups []string, rules func() string) call {
	group := oneOf(r, groups...)
	listener := []string{"LoadBalancerId", lb, "ListenerPort", oneOf(r, "7001", "7002")}
	with := func(more ...string) []string { return append(slices.Clone(listener), more...) }
	switch r.below(16) {
	case 0, 1:
		return makeCall("AddBackendServers", "LoadBalancerId", lb, "BackendServers", servers(r, false, true))
	case 2:
		return makeCall("SetBackendServers", "LoadBalancerId", lb, "BackendServers", servers(r, false, true))
	case 3:
		return makeCall("RemoveBackendServers", "LoadBalancerId", lb, "BackendServers", servers(r, false, false))
	case 4, 5:
		return makeCall("CreateLoadBalancer"+oneOf(r, "TCP", "HTTP", "HTTP")+"Listener",
			with("VServerGroupId", group, "HealthCheck", "off", "HealthCheckSwitch", "off", "Description", oneOf(r, "one", "two"))...)
	case 6:
		return makeCall("DeleteLoadBalancerListener", listener...)
	case 7:
		return makeCall("StartLoadBalancerListener", listener...)
	case 8:
		return makeCall("SetLoadBalancerHTTPListenerAttribute", with("Description", oneOf(r, "one", "two"), "VServerGroup", "on", "VServerGroupId", group)...)
	case 9, 10:
		return makeCall("CreateRules", with("RuleList", fmt.Sprintf(`[{"RuleName":"%s","Domain":"%s.example.com","Url":"/x","VServerGroupId":"%s"}]`,
			oneOf(r, "a", "b"), oneOf(r, "a", "b"), group))...)
	case 11:
		return makeCall("DeleteRules", "RuleIds", `["`+rules()+`"]`)
	case 12:
		return makeCall("AddVServerGroupBackendServers", "VServerGroupId", group, "BackendServers", servers(r, true, true))
	case 13:
		return makeCall("RemoveVServerGroupBackendServers", "VServerGroupId", group, "BackendServers", servers(r, true, false))
	case 14:
		return makeCall("DeleteVServerGroup", "VServerGroupId", group)
	}
	return makeCall("DescribeLoadBalancerAttribute", "LoadBalancerId", lb)
}

// TestSerialOrder lets many callers change one balancer at once and demands that
// their answers, and what is there after each burst of calls, are those of the
// same calls in some order that keeps to the clock. A burst is one call of each
// caller, and the next begins when all have returned and everything was read: so
// the number of calls that overlap, and with it the search, is bounded by their
// count whatever the machine is busy with. The search is bounded in steps, and one
// that finds neither an order nor that there is none fails the test.
//
// Histories of twelve callers are judged as a whole, those of more part by part.
func TestSerialOrder(t *testing.T) {
	s := startNode(t)
	for _, tc := range []struct {
		callers, bursts, rounds int
		divide                  func([]porcupine.Operation) [][]porcupine.Operation
	}{{12, 5, 12, whole}, {16, 10, 3, parts}, {32, 6, 3, parts}, {64, 3, 3, parts}} {
		t.Run(fmt.Sprint(tc.callers), func(t *testing.T) {
			steps, overlapping := 0, 0
			for range tc.rounds {
				seed := uint64(time.Now().UnixNano())
				h := contest(t, s, tc.callers, tc.bursts, seed)
				if t.Failed() {
					return
				}
				overlapping = max(overlapping, overlap(h.operations))
				for _, part := range tc.divide(h.operations) {
					v := judge(part, maxSteps)
					steps = max(steps, v.steps)
					if v.result != porcupine.Ok {
						h.tell(t)
						t.Logf("the longest order has %d of %d calls", v.longest, len(part))
						t.Fatalf("seed %d: is there a serial order that gives these answers? %s after %d steps", seed, v.result, v.steps)
					}
				}
			}
			t.Logf("up to %d calls at once, at most %d steps for an order", overlapping, steps)
			if overlapping < 2 {
				t.Error("no two calls ever overlapped")
			}
		})
	}
}

// overlap is the greatest number of calls that were under way at once.
func overlap(history []porcupine.Operation) int {
	most := 0
	for _, a := range history {
		n := 0
		for _, b := range history {
			if b.Call <= a.Call && a.Call < b.Return {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// maxSteps bounds the search for an order. Histories of the test take some
// hundred steps to a few thousand, and a hundred thousand now and then.
const maxSteps = 2_000_000

// verdict is what is known of a history after a search.
type verdict struct {
	result  porcupine.CheckResult // Unknown: the steps ran out
	steps   int                   // of the model
	longest int                   // calls in the longest order that was tried
}

// judge decides about a history. The order that is found is confirmed by the
// checker, with every call confined to the moment found, which is a stricter
// question than the one about the history itself and quickly answered.
func judge(history []porcupine.Operation, steps int) verdict {
	w := newWitness(serial, history, steps)
	v := verdict{result: porcupine.Illegal}
	switch found, known := w.find(); {
	case found:
		v.result = porcupine.Unknown
		if porcupine.CheckOperations(serial, w.confined()) {
			v.result = porcupine.Ok
		}
	case !known:
		v.result = porcupine.Unknown
	}
	v.steps, v.longest = steps-w.budget, w.longest
	return v
}

// contest lets the callers loose on a new balancer.
func contest(t *testing.T, s *system, callers, bursts int, seed uint64) *history {
	h := &history{system: s, began: time.Now()}
	lb := h.do(t, 0, makeCall("CreateLoadBalancer", "LoadBalancerName", "contested")).body.get("LoadBalancerId")
	var groups []string
	for _, name := range []string{"blue", "green"} {
		groups = append(groups, h.do(t, 0, makeCall("CreateVServerGroup", "LoadBalancerId", lb, "VServerGroupName", name, "BackendServers",
			`[{"ServerId":"i-1","Port":"80"}]`)).body.get("VServerGroupId"))
	}
	var mu sync.Mutex
	made := []string{"rule-nobody"} // guarded by mu
	random := make([]source, callers)
	for caller := range random {
		random[caller] = source{rand.New(rand.NewPCG(seed, uint64(caller)))}
	}
	for range bursts {
		var all sync.WaitGroup
		for caller, r := range random {
			all.Go(func() {
				rule := func() string {
					mu.Lock()
					defer mu.Unlock()
					return made[r.below(len(made))]
				}
				c := contested(r, lb, groups, rule)
				a := h.do(t, caller, c)
				if c.action == "CreateRules" && a.code == "" {
					mu.Lock()
					made = append(made, a.body.list("Rules", "Rule")[0].get("RuleId"))
					mu.Unlock()
				}
			})
		}
		all.Wait()
		h.readBack(t, lb, groups, made)
	}
	h.do(t, 0, makeCall("DeleteLoadBalancer", "LoadBalancerId", lb))
	return h
}

// tell prints all calls.
func (h *history) tell(t *testing.T) {
	t.Helper()
	for _, op := range h.operations {
		a := op.Output.(answer)
		t.Logf("%2d %9d..%9d %v -> %d %s %s %v", op.ClientId, op.Call/1000, op.Return/1000, op.Input, a.status, a.code, a.message, a.body)
	}
}

// readBack adds calls to the history, one after the other, that show all there
// is.
func (h *history) readBack(t *testing.T, lb string, groups, rules []string) {
	h.do(t, 0, makeCall("DescribeLoadBalancerAttribute", "LoadBalancerId", lb))
	h.do(t, 0, makeCall("RemoveBackendServers", "LoadBalancerId", lb, "BackendServers", `[{"ServerId":"i-nobody"}]`)) // shows the default group
	for _, port := range []string{"7001", "7002"} {
		for _, protocol := range []string{"TCP", "HTTP"} {
			h.do(t, 0, makeCall("DescribeLoadBalancer"+protocol+"ListenerAttribute", "LoadBalancerId", lb, "ListenerPort", port))
		}
	}
	for _, id := range groups {
		h.do(t, 0, makeCall("DescribeVServerGroupAttribute", "VServerGroupId", id))
	}
	for _, id := range rules {
		h.do(t, 0, makeCall("DescribeRuleAttribute", "RuleId", id))
	}
}

// TestSerialOrderCanFail: a lost update has no serial order.
func TestSerialOrderCanFail(t *testing.T) {
	s := startNode(t)
	h := &history{system: s, began: time.Now()}
	lb := h.do(t, 0, makeCall("CreateLoadBalancer", "LoadBalancerName", "lost")).body.get("LoadBalancerId")
	for _, id := range []string{"i-1", "i-2"} {
		h.do(t, 0, makeCall("AddBackendServers", "LoadBalancerId", lb, "BackendServers", `[{"ServerId":"`+id+`"}]`))
	}
	h.readBack(t, lb, nil, nil)
	if v := judge(h.operations, maxSteps); v.result != porcupine.Ok {
		t.Fatalf("a plain sequence is %s", v.result)
	}
	// The second call is cut out of the history: nobody has added what is there.
	lost := slices.Delete(slices.Clone(h.operations), 2, 3)
	if v := judge(lost, maxSteps); v.result != porcupine.Illegal {
		t.Errorf("a server that nobody added is %s", v.result)
	}
	if porcupine.CheckOperations(serial, lost) {
		t.Error("the checker does not agree")
	}
	// A search that is cut short has found out nothing.
	if v := judge(h.operations, 3); v.result != porcupine.Unknown {
		t.Errorf("after three steps the sequence is %s", v.result)
	}
}
