package quickstart

import (
	"context"
	"fmt"
	"strconv"
)

// The sample servers. The first two are those of the reference page of
// AddBackendServers.
var serverIDs = []string{
	"i-2zej4lxhjoq1icue6kup",
	"i-2ze1u9ywulp5pbvvc7hv",
	"i-2zeopenslbsample0003",
	"i-2zeopenslbsample0004",
}

// Run tells the story. The sample servers run until closeSamples is called. The
// error says which claims did not hold, or which step failed.
func Run(ctx context.Context, cfg Config) (result Result, closeSamples func(), err error) {
	samples, err := startSamples(serverIDs)
	if err != nil {
		return Result{}, func() {}, err
	}
	s := &story{Config: cfg, samples: samples}
	err = s.tell(ctx)
	return Result{
		LoadBalancerID: s.lb,
		HTTPURL:        s.httpURL(),
		TCPAddr:        fmt.Sprintf("%s:%d", s.address, s.tcpPort),
		Claims:         s.claims,
	}, func() { stopSamples(samples) }, err
}

// tell goes through the chapters in order.
func (s *story) tell(ctx context.Context) error {
	chapters := []func(context.Context, int) error{
		s.register, s.create, s.listen, s.addServers, s.reweigh, s.addMore, s.lose, s.remove,
	}
	for i, chapter := range chapters {
		if err := chapter(ctx, i+1); err != nil {
			return err
		}
	}
	return s.verdict()
}

func (s *story) register(ctx context.Context, n int) error {
	s.title(n, "Tell the register where four servers are")
	s.note("Four sample web servers run on this machine, each answering with its own ID.")
	for i, sample := range s.samples {
		name := "sample-" + strconv.Itoa(i+1)
		if err := s.command(ctx, nil, "server", "add", sample.id, "--ip", sample.addr.Addr().String(), "--name", name); err != nil {
			return err
		}
	}
	return nil
}

func (s *story) create(ctx context.Context, n int) error {
	s.title(n, "Create a load balancer")
	var a struct{ LoadBalancerId, Address string }
	err := s.command(ctx, &a, "call", "CreateLoadBalancer", "LoadBalancerName=quickstart", "AddressType=internet")
	if err != nil {
		return err
	}
	s.lb, s.address = a.LoadBalancerId, a.Address
	if s.httpPort, err = freePort(s.address, 8080); err != nil {
		return err
	}
	s.tcpPort, err = freePort(s.address, s.httpPort+1)
	return err
}

func (s *story) listen(ctx context.Context, n int) error {
	s.title(n, "Give it an HTTP and a TCP listener, and start them")
	lb, backend := "LoadBalancerId="+s.lb, fmt.Sprintf("BackendServerPort=%d", s.samples[0].addr.Port())
	http, tcp := fmt.Sprintf("ListenerPort=%d", s.httpPort), fmt.Sprintf("ListenerPort=%d", s.tcpPort)
	// Checks as quick as the API allows, so that nobody has to wait.
	commands := [][]string{
		{"call", "CreateLoadBalancerHTTPListener", lb, http, backend, "Bandwidth=-1",
			"StickySession=off", "HealthCheck=on", "HealthCheckURI=" + healthPath,
			"HealthCheckInterval=1", "HealthCheckTimeout=1", "HealthyThreshold=2", "UnhealthyThreshold=2"},
		{"call", "CreateLoadBalancerTCPListener", lb, tcp, backend, "Bandwidth=-1",
			"healthCheckInterval=1", "HealthCheckConnectTimeout=1", "HealthyThreshold=2", "UnhealthyThreshold=2"},
		{"call", "StartLoadBalancerListener", lb, http},
		{"call", "StartLoadBalancerListener", lb, tcp},
	}
	for _, words := range commands {
		if err := s.command(ctx, nil, words...); err != nil {
			return err
		}
	}
	return nil
}

func (s *story) addServers(ctx context.Context, n int) error {
	s.title(n, "Add two servers, one of them twice: the first entry wins")
	a, b := s.samples[0].id, s.samples[1].id
	var g group
	err := s.command(ctx, &g, "call", "AddBackendServers", "LoadBalancerId="+s.lb,
		"BackendServers="+entries([]share{{id: a, weight: 100}, {id: b, weight: 100}, {id: a, weight: 10}}))
	if err != nil {
		return err
	}
	shares := []share{{id: a, weight: 100}, {id: b, weight: 100}}
	s.claim("the group holds both servers once, with weight 100", g.is(shares))
	if err := s.awaitHealth(ctx, map[string]string{a: "normal", b: "normal"}); err != nil {
		return err
	}
	s.measure(ctx, shares, "every request was answered, and the shares follow the weights")
	return nil
}

func (s *story) reweigh(ctx context.Context, n int) error {
	s.title(n, "Change the weights: traffic follows as soon as the call returns")
	shares := []share{{id: s.samples[0].id, weight: 90}, {id: s.samples[1].id, weight: 10}}
	var g group
	err := s.command(ctx, &g, "call", "SetBackendServers", "LoadBalancerId="+s.lb, "BackendServers="+entries(shares))
	if err != nil {
		return err
	}
	s.claim("the group has the new weights", g.is(shares))
	s.measure(ctx, shares, "the shares follow the new weights from the first request on")
	return nil
}

func (s *story) addMore(ctx context.Context, n int) error {
	s.title(n, "Let two more servers help")
	more := []share{{id: s.samples[2].id, weight: 50}, {id: s.samples[3].id, weight: 50}}
	err := s.command(ctx, nil, "call", "AddBackendServers", "LoadBalancerId="+s.lb, "BackendServers="+entries(more))
	if err != nil {
		return err
	}
	want := make(map[string]string)
	for _, id := range serverIDs {
		want[id] = "normal"
	}
	if err := s.awaitHealth(ctx, want); err != nil {
		return err
	}
	shares := []share{{id: s.samples[0].id, weight: 90}, {id: s.samples[1].id, weight: 10}, more[0], more[1]}
	s.measure(ctx, shares, "all four serve, in the shares of their weights")
	return nil
}

func (s *story) lose(ctx context.Context, n int) error {
	gone := s.samples[0]
	s.title(n, "Lose a server: traffic avoids it")
	gone.stop()
	s.note("The server %s has been killed just now.", gone.id)
	s.measure(ctx, []share{
		{id: gone.id, weight: 90, down: true},
		{id: s.samples[1].id, weight: 10}, {id: s.samples[2].id, weight: 50}, {id: s.samples[3].id, weight: 50},
	}, "no request failed, and none reached the dead server; the rest keep their shares")
	want := map[string]string{gone.id: "abnormal"}
	for _, id := range serverIDs[1:] {
		want[id] = "normal"
	}
	return s.awaitHealth(ctx, want)
}

func (s *story) remove(ctx context.Context, n int) error {
	s.title(n, "Remove it from the group")
	gone := s.samples[0].id
	var g group
	err := s.command(ctx, &g, "call", "RemoveBackendServers", "LoadBalancerId="+s.lb, `BackendServers=["`+gone+`"]`)
	if err != nil {
		return err
	}
	shares := []share{{id: s.samples[1].id, weight: 10}, {id: s.samples[2].id, weight: 50}, {id: s.samples[3].id, weight: 50}}
	s.claim("three servers are left", g.is(shares))
	s.measure(ctx, shares, "every request was answered by the three")
	return nil
}
