package model

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// call is one call of the API.
type call struct {
	action string
	params map[string]string
	// wrong is the code of the error that the call must get whatever the state,
	// because its parameters are malformed. "": the state decides.
	wrong string
}

func (c call) String() string { return fmt.Sprintf("%s %v", c.action, c.params) }

// answer is what came back.
type answer struct {
	status        int
	code, message string // of an error
	body          *tree  // of success
}

// problem is an error that a call may truthfully get: its code and part of its
// text.
type problem struct{ code, text string }

var (
	noBalancer   = problem{"InvalidLoadBalancerId.NotFound", ""}
	noListener   = problem{"InvalidParameter", "The specified resource does not exist"}
	noGroup      = problem{"InvalidParameter", "The specified VServerGroupId does not exist"}
	noRule       = problem{"InvalidRuleId.NotFound", ""}
	noACL        = problem{"AclNotExist", ""}
	noRunning    = problem{"ObtainIpFail", ""}
	noTagged     = problem{"InvalidResourceId.NotFound", ""}
	noMember     = problem{"InvalidServerId.NotFound", ""}
	nameTaken    = problem{"InvalidParameter", "RuleName"}
	protocolLack = problem{"MissingParameter", "ListenerProtocol"}
)

// judgement is what the model thinks of a call: all errors that would be true,
// and if there are none, what the call does. done checks the answer too.
type judgement struct {
	problems []problem
	done     func(a answer) error
}

func (j *judgement) add(when bool, p problem) {
	if when {
		j.problems = append(j.problems, p)
	}
}

// step judges the answer to a call and, if it is right, does to s what the call
// did. An error means that no server in this state may answer so.
func (s *state) step(c call, a answer) error {
	if c.wrong != "" {
		if a.code != c.wrong {
			return fmt.Errorf("%v answers %d %s %q, want %s", c, a.status, a.code, a.message, c.wrong)
		}
		return nil
	}
	judge := judges[c.action]
	if judge == nil {
		return fmt.Errorf("the model knows nothing of %s", c.action)
	}
	j := judge(s, c.params)
	if len(j.problems) > 0 {
		for _, p := range j.problems {
			if a.code == p.code && strings.Contains(a.message, p.text) {
				return nil
			}
		}
		return fmt.Errorf("%v answers %d %s %q, want one of %v", c, a.status, a.code, a.message, j.problems)
	}
	if a.status != http.StatusOK {
		return fmt.Errorf("%v answers %d %s %q, want success", c, a.status, a.code, a.message)
	}
	if j.done == nil {
		return nil
	}
	if err := j.done(a); err != nil {
		return fmt.Errorf("%v: %w in %v", c, err, a.body)
	}
	return nil
}

// same is an error unless the texts agree.
func same(what, got, want string) error {
	if got != want {
		return fmt.Errorf("%s is %q, want %q", what, got, want)
	}
	return nil
}

// serversOf reads a list of servers as the model's own calls write it.
func serversOf(text string) []entry {
	var raw []struct{ ServerId, Port, Weight, Description string }
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		panic(err) // the generator's mistake
	}
	var out []entry
	for _, r := range raw {
		e := entry{r.ServerId, r.Port, r.Weight, r.Description}
		if !slices.ContainsFunc(out, func(o entry) bool { return o.server == e.server && o.port == e.port }) {
			out = append(out, e)
		}
	}
	return out
}

func find(list []entry, e entry) int {
	return slices.IndexFunc(list, func(o entry) bool { return o.server == e.server && o.port == e.port })
}

// attach adds what is not there yet and says whether all may be added.
func attach(list, more []entry) (out []entry, ok bool) {
	ok = true
	for _, e := range more {
		if find(list, e) >= 0 {
			continue
		}
		if !registered[e.server] {
			ok = false
		}
		if e.weight == "" {
			e.weight = "100"
		}
		list = append(list, e)
	}
	return list, ok
}

// change sets weights and descriptions and says whether all were there.
func change(list, more []entry) (out []entry, ok bool) {
	list = slices.Clone(list)
	for _, e := range more {
		i := find(list, e)
		if i < 0 {
			return list, false
		}
		if e.weight != "" {
			list[i].weight = e.weight
		}
		if e.description != "" {
			list[i].description = e.description
		}
	}
	return list, true
}

func detach(list, gone []entry) []entry {
	return slices.DeleteFunc(slices.Clone(list), func(e entry) bool { return find(gone, e) >= 0 })
}

type judgeFunc func(s *state, p map[string]string) judgement

// judges is filled by the files about the resources.
var judges = map[string]judgeFunc{}

// registered are the servers that the tests put into the register.
var registered = map[string]bool{"i-1": true, "i-2": true, "i-3": true, "i-4": true}

// onBalancer is the beginning of a judgement on an action of one balancer.
func (s *state) onBalancer(p map[string]string) (lb string, b balancer, j judgement) {
	lb = p["LoadBalancerId"]
	b, ok := s.balancers[lb]
	j.add(!ok, noBalancer)
	return lb, b, j
}
