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
// their answers, and what is there in the end, are those of the same calls in
// some order that keeps to the clock. Many short histories are judged as a whole
// and always decided. Longer ones are judged part by part, and a part that would
// take too long, which says nothing about it, must be made up for by others.
func TestSerialOrder(t *testing.T) {
	s := startNode(t)
	for _, tc := range []struct {
		callers, each, rounds int
		divide                func([]porcupine.Operation) [][]porcupine.Operation
		patience              time.Duration
	}{{12, 5, 30, whole, time.Minute}, {16, 12, 3, parts, time.Second}, {32, 6, 3, parts, time.Second}, {64, 3, 3, parts, time.Second}} {
		t.Run(fmt.Sprint(tc.callers), func(t *testing.T) {
			decided, undecided := 0, 0
			for range tc.rounds {
				seed := uint64(time.Now().UnixNano())
				h := contest(t, s, tc.callers, tc.each, seed)
				if t.Failed() {
					return
				}
				for _, part := range tc.divide(h.operations) {
					switch result, info := judge(part, tc.patience); result {
					case porcupine.Ok:
						decided++
					case porcupine.Illegal:
						h.tell(t, info)
						t.Fatalf("seed %d: no serial order gives these answers", seed)
					default:
						undecided++
					}
				}
			}
			t.Logf("%d decided, %d not", decided, undecided)
			if undecided > decided/2 || undecided > 0 && tc.patience > time.Second {
				t.Error("too few orders were found in time")
			}
		})
	}
}

// judge asks the checker about a history. A general search for an order takes
// too long when many calls overlap, so that one is looked for beforehand; the
// checker then confirms it, with every call confined to the moment found, which
// is a stricter question than the one about the history itself. Without such an
// order the checker has the whole history to search.
func judge(history []porcupine.Operation, patience time.Duration) (porcupine.CheckResult, porcupine.LinearizationInfo) {
	if confined, ok := narrow(serial, history); ok {
		return porcupine.CheckOperationsVerbose(serial, confined, time.Minute)
	}
	return porcupine.CheckOperationsVerbose(serial, history, patience)
}

// contest lets the callers loose on a new balancer.
func contest(t *testing.T, s *system, callers, each int, seed uint64) *history {
	h := &history{system: s, began: time.Now()}
	lb := h.do(t, 0, makeCall("CreateLoadBalancer", "LoadBalancerName", "contested")).body.get("LoadBalancerId")
	var groups []string
	for _, name := range []string{"blue", "green"} {
		groups = append(groups, h.do(t, 0, makeCall("CreateVServerGroup", "LoadBalancerId", lb, "VServerGroupName", name, "BackendServers",
			`[{"ServerId":"i-1","Port":"80"}]`)).body.get("VServerGroupId"))
	}
	var mu sync.Mutex
	made := []string{"rule-nobody"} // guarded by mu
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			r := source{rand.New(rand.NewPCG(seed, uint64(caller)))}
			rule := func() string {
				mu.Lock()
				defer mu.Unlock()
				return made[r.below(len(made))]
			}
			for range each {
				c := contested(r, lb, groups, rule)
				a := h.do(t, caller, c)
				if c.action == "CreateRules" && a.code == "" {
					mu.Lock()
					made = append(made, a.body.list("Rules", "Rule")[0].get("RuleId"))
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	h.readBack(t, lb, groups, made)
	h.do(t, 0, makeCall("DeleteLoadBalancer", "LoadBalancerId", lb))
	return h
}

// tell prints how far the best order came and the calls that no order explains.
func (h *history) tell(t *testing.T, info porcupine.LinearizationInfo) {
	t.Helper()
	for _, op := range h.operations {
		a := op.Output.(answer)
		t.Logf("%2d %9d..%9d %v -> %d %s %s %v", op.ClientId, op.Call/1000, op.Return/1000, op.Input, a.status, a.code, a.message, a.body)
	}
	for _, part := range info.PartialLinearizationsOperations() {
		longest := 0
		for _, order := range part {
			longest = max(longest, len(order))
		}
		t.Logf("the longest order has %d of the calls", longest)
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
	if !porcupine.CheckOperations(serial, h.operations) {
		t.Fatal("a plain sequence is refused")
	}
	// The second call is cut out of the history: nobody has added what is there.
	if porcupine.CheckOperations(serial, slices.Delete(slices.Clone(h.operations), 2, 3)) {
		t.Error("a server that nobody added passes")
	}
}
