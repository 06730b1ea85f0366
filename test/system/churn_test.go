package system

import (
	"fmt"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/node"
	"github.com/openslb/openslb/internal/testutil"
)

const (
	plainPort  = 8082
	securePort = 8443
	grpcPort   = 8444
)

// TestChurn makes a thousand random changes around some six hundred live
// connections: TCP, HTTP and HTTPS with a request every now and then, answers in
// chunks that never end, WebSocket, streams of HTTP/2, and streams of gRPC in
// both directions. None of them may notice: a change to one thing never disturbs
// another, and servers of the group that stay keep what they have. Nothing is
// left in the end, and what clients have done is what metrics and logs say.
func TestChurn(t *testing.T) {
	testutil.NoLeaks(t)
	changes, conns := 1000, 250
	if testing.Short() {
		changes, conns = 150, 50
	}
	web, echo := testutil.Hosts(t, ids("i", 8)...)
	stream, talk := streamServer(t), grpcServer(t)
	descriptors := openDescriptors(t)
	t.Cleanup(func() { // runs when the node has stopped
		testutil.Eventually(t, 30*time.Second, "all descriptors are given back", func() bool { return openDescriptors(t) <= descriptors })
	})
	var data string
	c := startNode(t, func(cfg *node.Config) {
		// Files of logs are full every few seconds, and none may be removed.
		cfg.Logs = node.LogFiles{Connections: true, MaxSize: 4 << 20, KeepFiles: 10_000}
		data = cfg.Data
	})
	c.register(web...)
	c.call("RegisterServer", "ServerId", "stream-1", "Address.1", stream.Addr())
	c.call("RegisterServer", "ServerId", "grpc-1", "Address.1", talk.Addr())
	b := c.balancer("subject")
	c.call("SetAccessLogsDownloadAttribute", "RegionId", node.DefaultRegion, "LogsDownloadAttributes", fmt.Sprintf(`[{"LogProject":"p","LogStore":"s","LoadBalancerId":%q,"LogType":"layer7"}]`, b.id))
	// Patient checks: this test is about changes, and the machine is busy.
	patient := []any{"HealthCheckInterval", 2, "HealthCheckTimeout", 10, "HealthCheckConnectTimeout", 10, "HealthyThreshold", 2, "UnhealthyThreshold", 10, "HealthCheck", "on"}
	http := b.listen("HTTP", httpPort, web[0].Addr().Port(), patient...)
	tcp := b.listen("TCP", tcpPort, echo[0].Addr().Port(), patient...)
	b.add(entry{web[0].ID, 100}, entry{web[1].ID, 100}, entry{web[2].ID, 100})
	for _, s := range web[:3] {
		b.await(httpPort, s.ID, "normal")
		b.await(tcpPort, s.ID, "normal")
	}

	group := b.group(fmt.Sprintf(`[{"ServerId":"stream-1","Port":%d,"Weight":100}]`, stream.Port()))
	certs := []string{c.upload(newKey(t)), c.upload(newKey(t))}
	plain := b.listenFor("HTTP", plainPort, "VServerGroupId", group, append([]any{"StickySession", "off"}, off...)...)
	https := append([]any{"StickySession", "off", "ServerCertificateId", certs[0], "TLSCipherPolicy", "tls_cipher_policy_1_2_strict_with_1_3"}, off...)
	secure := b.listenFor("HTTPS", securePort, "VServerGroupId", group, https...)
	talking := b.listenFor("HTTPS", grpcPort, "VServerGroupId", b.group(fmt.Sprintf(`[{"ServerId":"grpc-1","Port":%d,"Weight":100}]`, talk.Port())), https...)
	c.call("SetListenerBackendProtocol", "LoadBalancerId", b.id, "ListenerPort", grpcPort, "BackendProtocol", "h2c")

	requests, echoes := testutil.StartLoad(t), testutil.StartLoad(t)
	requests.HTTP(http, conns, 150*time.Millisecond)
	echoes.Echo(tcp, conns, 150*time.Millisecond)
	exchanges := func() int64 { return requests.Requests() + echoes.Requests() }
	faultless := func(after string) {
		t.Helper()
		for _, l := range []*testutil.Load{requests, echoes} {
			if n, some := l.Faults(); n > 0 {
				t.Fatalf("after %s: %d faults: %v", after, n, some)
			}
		}
	}
	lasting := startLive(t)
	lasting.run("chunks", 15, lasting.chunked(plain, false))
	lasting.run("chunks over TLS", 15, lasting.chunked(secure, true))
	lasting.run("WebSocket", 15, lasting.socket(plain, false))
	lasting.run("WebSocket over TLS", 15, lasting.socket(secure, true))
	lasting.run("HTTPS", 15, lasting.keepAlive(secure, true))
	lasting.run("HTTP/2", 10, lasting.http2(secure))
	for i := range 4 {
		lasting.run(fmt.Sprintf("gRPC connection %d, stream", i), 4, lasting.grpc(lasting.grpcClient(t, talking), talking))
	}

	m := &monkey{changer: newChanger(b), group: group, certs: certs, staying: web[:3], coming: web[3:]}
	moves := m.moves()
	began := time.Now()
	for i := range changes {
		// Traffic goes on between two changes, so that each meets it anew.
		traffic := exchanges() + 10
		m.change(moves)
		testutil.Eventually(t, 30*time.Second, "traffic goes on", func() bool { return exchanges() >= traffic })
		faultless(fmt.Sprintf("change %d (%s)", i, m.last))
		if some := lasting.seen(); len(some) > 0 {
			t.Fatalf("after change %d (%s): %v", i, m.last, some)
		}
	}
	took := time.Since(began)
	// One more turn of every connection, after the last change.
	after := exchanges()
	testutil.Eventually(t, 30*time.Second, "traffic after the last change", func() bool { return exchanges() >= after+int64(4*conns) })
	lasting.goesOn(t)
	lasting.stop()
	if some := lasting.seen(); len(some) > 0 {
		t.Fatal(some)
	}
	requests.Stop()
	echoes.Stop()
	faultless("the end")
	accounts := map[uint16]account{
		tcpPort:    {protocol: "tcp", connections: echoes.Connections(), received: echoes.Requests() * int64(len(testutil.EchoText))},
		plainPort:  lasting.account(plain, "http", "stream-1"),
		securePort: lasting.account(secure, "https", "stream-1"),
		grpcPort:   lasting.account(talking, "https", "grpc-1"),
	}
	served := map[string]int64{}
	for _, s := range web[:3] { // the figures of others end when they are removed
		served[s.ID] = int64(requests.Served()[s.ID])
	}
	n := requests.Requests()
	accounts[httpPort] = account{protocol: "http", connections: requests.Connections(), requests: n, received: n * int64(len(testutil.GetText)), statuses: map[string]int64{"200": n}, served: served}
	b.booked(data, accounts)
	t.Logf("%d changes in %v, %d exchanges, %d beats of what lasts; %s", changes, took.Round(time.Millisecond), exchanges(), lasting.beats(), m.summary(t, changes, changes/3))
}

// monkey changes the subject and what is beside it. It never touches weight or membership of all
// staying servers at once, and nothing else that a user would call taking
// traffic away.
type monkey struct {
	*changer
	group           string // of the streams, and of rules that nobody meets
	certs           []string
	staying, coming []*testutil.Server
}

func (m *monkey) moves() []move {
	return []move{
		{"weights", m.weights},
		{"add a server", func() error {
			s := m.pick()
			return m.try("AddBackendServers", "LoadBalancerId", m.id, "BackendServers", list(entry{s.ID, m.rnd.IntN(101)}))
		}},
		{"remove a server", func() error {
			return m.try("RemoveBackendServers", "LoadBalancerId", m.id, "BackendServers", list(entry{m.pick().ID, 0}))
		}},
		{"stop or start a server", func() error {
			status := []string{"Running", "Stopped"}[m.rnd.IntN(2)]
			return m.try("SetServerStatus", "ServerId", m.pick().ID, "Status", status)
		}},
		{"create a listener", m.listener},
		{"start a listener", func() error {
			return m.try("StartLoadBalancerListener", "LoadBalancerId", m.id, "ListenerPort", m.port())
		}},
		{"stop a listener", func() error {
			return m.try("StopLoadBalancerListener", "LoadBalancerId", m.id, "ListenerPort", m.port())
		}},
		{"delete a listener", func() error {
			return m.try("DeleteLoadBalancerListener", "LoadBalancerId", m.id, "ListenerPort", m.port())
		}},
		{"rename", m.rename},
		{"change the HTTP listener", func() error {
			return m.try("SetLoadBalancerHTTPListenerAttribute", "LoadBalancerId", m.id, "ListenerPort", httpPort,
				"Scheduler", []string{"wrr", "rr", "wlc"}[m.rnd.IntN(3)], "IdleTimeout", 30+m.rnd.IntN(30), "XForwardedFor_proto", []string{"on", "off"}[m.rnd.IntN(2)])
		}},
		{"change the TCP listener", func() error {
			return m.try("SetLoadBalancerTCPListenerAttribute", "LoadBalancerId", m.id, "ListenerPort", tcpPort,
				"Scheduler", []string{"wrr", "rr", "wlc"}[m.rnd.IntN(3)], "EstablishedTimeout", 300+m.rnd.IntN(600))
		}},
		{"change the HTTPS listener", func() error {
			return m.try("SetLoadBalancerHTTPSListenerAttribute", "LoadBalancerId", m.id, "ListenerPort", []uint16{securePort, grpcPort}[m.rnd.IntN(2)],
				"ServerCertificateId", m.certs[m.rnd.IntN(2)], "TLSCipherPolicy", []string{"tls_cipher_policy_1_2", "tls_cipher_policy_1_2_strict_with_1_3"}[m.rnd.IntN(2)],
				"Gzip", []string{"on", "off"}[m.rnd.IntN(2)], "XForwardedFor", []string{"on", "off"}[m.rnd.IntN(2)])
		}},
		{"change how servers are asked", func() error {
			// Streams that have begun go on as they are.
			for _, protocol := range []string{"http", "h2c"} {
				if err := m.try("SetListenerBackendProtocol", "LoadBalancerId", m.id, "ListenerPort", grpcPort, "BackendProtocol", protocol); err != nil {
					return err
				}
			}
			return nil
		}},
		{"add a rule", func() error {
			m.made++
			return m.try("CreateRules", "RegionId", node.DefaultRegion, "LoadBalancerId", m.id, "ListenerPort", plainPort,
				"RuleList", fmt.Sprintf(`[{"RuleName":"rule-%d","Domain":"nobody-%d.test","VServerGroupId":%q}]`, m.made, m.made, m.group))
		}},
		{"another instance", func() error {
			return m.another(m.port(), m.staying[0].Addr().Port(), func() []entry {
				return []entry{{m.staying[0].ID, 100}, {m.staying[1].ID, m.rnd.IntN(101)}}
			})
		}},
	}
}

func (m *monkey) pick() *testutil.Server { return m.coming[m.rnd.IntN(len(m.coming))] }

// port is one of a few, so that creation, start, stop and deletion meet.
func (m *monkey) port() int { return 9000 + m.rnd.IntN(4) }

func (m *monkey) weights() error {
	var entries []entry
	for _, s := range m.staying {
		entries = append(entries, entry{s.ID, m.rnd.IntN(101)})
	}
	entries[m.rnd.IntN(len(entries))].Weight = 50 // somebody always takes traffic
	return m.try("SetBackendServers", "LoadBalancerId", m.id, "BackendServers", list(entries...))
}

func (m *monkey) listener() error {
	kind := []string{"HTTP", "TCP"}[m.rnd.IntN(2)]
	args := []any{"LoadBalancerId", m.id, "ListenerPort", m.port(), "BackendServerPort", m.staying[0].Addr().Port(), "Bandwidth", -1}
	if kind == "HTTP" {
		args = append(args, "StickySession", "off", "HealthCheck", "on")
	}
	return m.try("CreateLoadBalancer"+kind+"Listener", args...)
}
