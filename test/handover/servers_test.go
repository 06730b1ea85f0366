package handover

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/testutil"
	"github.com/openslb/openslb/internal/testutil/grpctest"
	"github.com/openslb/openslb/internal/testutil/wstest"
)

// The ports that the listeners of the test have.
const (
	tcpPort, httpPort, httpsPort, udpPort, socketPort, stickyPort, streamPort, grpcPort = 7001, 7002, 7003, 7004, 7005, 7006, 7007, 7008
)

// balance makes one balancer with a listener of every kind and two servers. Its
// health checks are on: a node that had to begin them anew would have no server
// for seconds.
func (w *world) balance() (ip netip.Addr, id string) {
	w.t.Helper()
	web, echo := testutil.Hosts(w.t, "i-1", "i-2")
	datagram, upgrade, talk := moreServers(w.t, web[0], web[1])
	var lb struct {
		LoadBalancerID string `json:"LoadBalancerId"`
		Address        netip.Addr
	}
	w.call("CreateLoadBalancer", &lb, "LoadBalancerName", "passed-on")
	for _, s := range web {
		w.call("RegisterServer", nil, "ServerId", s.ID, "Address.1", s.Addr().Addr())
	}
	w.call("AddBackendServers", nil, "LoadBalancerId", lb.LoadBalancerID, "BackendServers", `[{"ServerId":"i-1","Weight":100},{"ServerId":"i-2","Weight":100}]`)
	certificate, key := testutil.SelfSigned(w.t, "test")
	var uploaded struct {
		ServerCertificateID string `json:"ServerCertificateId"`
	}
	w.call("UploadServerCertificate", &uploaded, "ServerCertificate", certificate, "PrivateKey", key)
	listen := func(kind string, port int, backend uint16, more ...any) {
		w.t.Helper()
		w.call("CreateLoadBalancer"+kind+"Listener", nil, append([]any{"LoadBalancerId", lb.LoadBalancerID, "ListenerPort", port, "BackendServerPort", backend, "Bandwidth", -1,
			"HealthyThreshold", 2, "UnhealthyThreshold", 2}, more...)...)
		w.call("StartLoadBalancerListener", nil, "LoadBalancerId", lb.LoadBalancerID, "ListenerPort", port, "ListenerProtocol", kind)
	}
	l4 := []any{"healthCheckInterval", 1, "HealthCheckConnectTimeout", 1}
	l7 := []any{"HealthCheckInterval", 1, "HealthCheckTimeout", 1, "HealthCheck", "on", "StickySession", "off"}
	listen("TCP", tcpPort, echo[0].Addr().Port(), l4...)
	listen("TCP", stickyPort, echo[0].Addr().Port(), append(l4, "PersistenceTimeout", 3600, "Scheduler", "rr")...)
	listen("HTTP", httpPort, web[0].Addr().Port(), l7...)
	listen("HTTP", socketPort, upgrade, l7...)
	listen("HTTPS", httpsPort, web[0].Addr().Port(), append(l7, "ServerCertificateId", uploaded.ServerCertificateID)...)
	listen("HTTPS", streamPort, upgrade, append(l7, "ServerCertificateId", uploaded.ServerCertificateID)...)
	// A server of gRPC does not answer probes of HTTP/1: another port of the host does.
	listen("HTTPS", grpcPort, talk, append(l7, "ServerCertificateId", uploaded.ServerCertificateID, "HealthCheckConnectPort", upgrade)...)
	w.call("SetListenerBackendProtocol", nil, "LoadBalancerId", lb.LoadBalancerID, "ListenerPort", grpcPort, "BackendProtocol", "h2c")
	listen("UDP", udpPort, datagram, l4...)
	for _, port := range []int{tcpPort, stickyPort, httpPort, socketPort, httpsPort, streamPort, grpcPort, udpPort} {
		testutil.Eventually(w.t, patience, fmt.Sprintf("servers of port %d to be well", port), func() bool {
			var out struct {
				BackendServers struct {
					BackendServer []struct{ ServerHealthStatus string }
				}
			}
			w.call("DescribeHealthStatus", &out, "LoadBalancerId", lb.LoadBalancerID, "ListenerPort", port)
			well := 0
			for _, s := range out.BackendServers.BackendServer {
				if s.ServerHealthStatus == "normal" {
					well++
				}
			}
			return well == 2
		})
	}
	return lb.Address, lb.LoadBalancerID
}

// moreServers adds to two hosts a UDP server, which answers a datagram with
// itself, its name and whom it came from; one that upgrades HTTP connections to
// WebSocket, or answers without end; and one of gRPC. They have the same ports on
// both.
func moreServers(t *testing.T, hosts ...*testutil.Server) (datagram, upgrade, talk uint16) {
	t.Helper()
	for {
		datagram, upgrade, talk = 0, 0, 0
		var open []io.Closer
		var packets []*net.UDPConn
		var streams [2][]net.Listener
		for _, h := range hosts {
			ip := h.Addr().Addr()
			p, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, datagram)))
			if err != nil {
				break
			}
			open, packets = append(open, p), append(packets, p)
			datagram = p.LocalAddr().(*net.UDPAddr).AddrPort().Port()
			for i, port := range []*uint16{&upgrade, &talk} {
				l, err := net.Listen("tcp", netip.AddrPortFrom(ip, *port).String())
				if err != nil {
					break
				}
				open, streams[i] = append(open, l), append(streams[i], l)
				*port = l.Addr().(*net.TCPAddr).AddrPort().Port()
			}
		}
		if len(open) < 3*len(hosts) { // the port of one was taken on another
			for _, c := range open {
				c.Close()
			}
			continue
		}
		for i, h := range hosts {
			t.Cleanup(func() { packets[i].Close() })
			go serveDatagrams(packets[i], h.ID)
			s := &http.Server{Handler: http.HandlerFunc(serveUpgrade)}
			t.Cleanup(func() { s.Close() })
			go s.Serve(streams[0][i])
			grpctest.Serve(t, streams[1][i], grpctest.Echo)
		}
		return datagram, upgrade, talk
	}
}

func serveDatagrams(c *net.UDPConn, name string) {
	buf := make([]byte, 2048)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		_, _ = c.WriteToUDPAddrPort(fmt.Appendf(nil, "%s %s %d", buf[:n], name, from.Port()), from)
	}
}

func serveUpgrade(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/stream":
		for n := 0; ; n++ {
			if _, err := fmt.Fprintln(w, n); err != nil || r.Context().Err() != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
			time.Sleep(5 * time.Millisecond)
		}
	case r.Header.Get("Upgrade") == "":
		return // a health check
	}
	_ = wstest.Answer(w, r)
}
