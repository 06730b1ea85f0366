package quickstart

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"time"
)

// group is the part of an answer that lists the default server group.
type group struct {
	BackendServers struct {
		BackendServer []struct {
			ServerId string
			Weight   int
		}
	}
}

// is tells how the group differs from what it should hold.
func (g group) is(want []share) error {
	got := make(map[string]int)
	for _, e := range g.BackendServers.BackendServer {
		if _, twice := got[e.ServerId]; twice {
			return fmt.Errorf("%s is listed twice", e.ServerId)
		}
		got[e.ServerId] = e.Weight
	}
	wanted := make(map[string]int)
	for _, s := range want {
		wanted[s.id] = s.weight
	}
	if !maps.Equal(got, wanted) {
		return fmt.Errorf("the group is %v and should be %v", got, wanted)
	}
	return nil
}

// entries writes the BackendServers parameter in the spelling of the reference
// page.
func entries(shares []share) string {
	type entry struct{ ServerId, Weight string }
	list := make([]entry, len(shares))
	for i, s := range shares {
		list[i] = entry{s.id, strconv.Itoa(s.weight)}
	}
	text, err := json.Marshal(list)
	if err != nil {
		panic("quickstart: " + err.Error()) // strings always marshal
	}
	return string(text)
}

// healthPatience bounds the wait for a health status. With the settings of
// this story a status changes within about four seconds.
const healthPatience = 20 * time.Second

// health is the part of DescribeHealthStatus that the story reads.
type health struct {
	BackendServers struct {
		BackendServer []struct {
			ServerId, ServerHealthStatus string
			ListenerPort                 int
		}
	}
}

// is tells how the answer differs from one status per server on each of the
// listeners.
func (h health) is(want map[string]string, ports ...int) error {
	got := make(map[string]string)
	for _, e := range h.BackendServers.BackendServer {
		got[fmt.Sprintf("%s on %d", e.ServerId, e.ListenerPort)] = e.ServerHealthStatus
	}
	for _, id := range slices.Sorted(maps.Keys(want)) {
		for _, port := range ports {
			key := fmt.Sprintf("%s on %d", id, port)
			if got[key] != want[id] {
				return fmt.Errorf("%s is %q and should be %q", key, got[key], want[id])
			}
		}
	}
	if len(got) != len(want)*len(ports) {
		return fmt.Errorf("%d rows and should be %d", len(got), len(want)*len(ports))
	}
	return nil
}

// awaitHealth asks until the health checks have found what they should, then
// shows the call.
func (s *story) awaitHealth(ctx context.Context, want map[string]string) error {
	words := []string{"call", "DescribeHealthStatus", "LoadBalancerId=" + s.lb}
	deadline := time.Now().Add(healthPatience)
	for {
		var h health
		if err := s.quiet(ctx, &h, words...); err != nil {
			return err
		}
		if h.is(want, s.httpPort, s.tcpPort) == nil || time.Now().After(deadline) {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	var h health
	if err := s.command(ctx, &h, words...); err != nil {
		return err
	}
	s.claim("the health checks see every server as it is", h.is(want, s.httpPort, s.tcpPort))
	return nil
}

// freePort finds a port at or above first that nobody listens on at address.
func freePort(address string, first int) (int, error) {
	for port := first; port < first+1000; port++ {
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", net.JoinHostPort(address, strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("no free port from %d on at %s", first, address)
}
