package system

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// changer makes random changes around traffic that must not notice.
type changer struct {
	*balancer   // the subject
	rnd         *rand.Rand
	others      []*balancer // beside the subject
	made        int         // names given so far
	counts      map[string]int
	last        string // change
	refused     int
	lastRefusal error
}

// move is one kind of change.
type move struct {
	name string
	run  func() error
}

// newChanger repeats what another did if CHURN_SEED has its seed.
func newChanger(b *balancer) *changer {
	seed := uint64(time.Now().UnixNano())
	if s, err := strconv.ParseUint(os.Getenv("CHURN_SEED"), 10, 64); err == nil {
		seed = s
	}
	b.t.Logf("CHURN_SEED=%d", seed)
	return &changer{balancer: b, rnd: rand.New(rand.NewPCG(seed, 0)), counts: map[string]int{}}
}

// change makes one of the moves.
func (c *changer) change(moves []move) {
	c.t.Helper()
	m := moves[c.rnd.IntN(len(moves))]
	c.last = m.name
	c.counts[m.name]++
	if err := m.run(); err != nil {
		if apiCode(err) == "" {
			c.t.Fatalf("%s: %v", m.name, err)
		}
		c.refused++ // the state did not allow it; a refusal is a change of nothing
		c.lastRefusal = err
	}
}

// summary tells what was done, and fails the test when more than a part of the
// changes were refused.
func (c *changer) summary(t testing.TB, changes, atMost int) string {
	t.Helper()
	if c.refused > atMost {
		t.Errorf("%d of %d changes were refused; the test hardly tests: last %v", c.refused, changes, c.lastRefusal)
	}
	return fmt.Sprintf("%v; refused %d", c.counts, c.refused)
}

// rename gives the subject another name.
func (c *changer) rename() error {
	c.made++
	return c.try("SetLoadBalancerName", "LoadBalancerId", c.id, "LoadBalancerName", fmt.Sprintf("name-%d", c.made))
}

// another creates, changes or deletes an instance beside the subject, with a TCP
// listener on the port and servers by add.
func (c *changer) another(port int, backend uint16, add func() []entry) error {
	if len(c.others) < 5 && c.rnd.IntN(2) == 0 {
		o := c.cluster.balancer("other")
		c.others = append(c.others, o)
		if err := c.try("CreateLoadBalancerTCPListener", "LoadBalancerId", o.id, "ListenerPort", port, "BackendServerPort", backend, "Bandwidth", -1); err != nil {
			return err
		}
		return c.try("StartLoadBalancerListener", "LoadBalancerId", o.id, "ListenerPort", port)
	}
	if len(c.others) == 0 {
		return nil
	}
	i := c.rnd.IntN(len(c.others))
	o := c.others[i]
	if c.rnd.IntN(2) == 0 {
		return c.try("AddBackendServers", "LoadBalancerId", o.id, "BackendServers", list(add()...))
	}
	c.others = append(c.others[:i], c.others[i+1:]...)
	return c.try("DeleteLoadBalancer", "LoadBalancerId", o.id)
}
