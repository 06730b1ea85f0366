package system

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/testutil"
)

// TestUnrelatedChanges makes a thousand random changes around two thousand live
// TCP connections and a stream of datagrams, none of which they concern: nobody
// is reset, no datagram is lost or changes its server, and no server's health is
// forgotten.
func TestUnrelatedChanges(t *testing.T) {
	testutil.NoLeaks(t)
	changes, conns := 1000, 2000
	if testing.Short() {
		changes, conns = 150, 500
	}
	b, crowd := crowded(t)
	stream := &datagramStream{name: "i-crowd-"}
	port := stream.serve(t, crowd.Echo)
	udp := b.listen("UDP", udpPort, port, "healthCheckReq", "alive", "healthCheckExp", "alive",
		"healthCheckInterval", 2, "HealthCheckConnectTimeout", 20, "HealthyThreshold", 2, "UnhealthyThreshold", 10)
	for i := range crowd.Echo {
		b.await(udpPort, fmt.Sprintf("i-crowd-%d", i+1), "normal")
	}
	calm(t, "connect", crowd.Connect(b.address(tcpPort), conns))
	stream.start(t, udp)

	m := &stranger{changer: newChanger(b)}
	moves := m.moves()
	for i := range 4 {
		id := fmt.Sprintf("i-other-%d", i+1)
		b.call("RegisterServer", "ServerId", id, "Address.1", netip.AddrFrom4([4]byte{127, 0, 0, byte(i + 1)}))
		m.servers = append(m.servers, id)
	}
	began := time.Now()
	for i := range changes {
		m.change(moves)
		if i%25 == 24 {
			r := crowd.Exchange()
			calm(t, "after "+m.last, r)
			if r.Good != conns {
				t.Fatalf("after change %d (%s): %d exchanges", i, m.last, r.Good)
			}
			stream.check(t)
			for k := range crowd.Echo {
				for _, p := range []uint16{tcpPort, udpPort} {
					if got := b.health(p, fmt.Sprintf("i-crowd-%d", k+1)); got != "normal" {
						t.Fatalf("after change %d (%s): server %d is %s on %d", i, m.last, k+1, got, p)
					}
				}
			}
		}
	}
	sent := stream.stop(t)
	f := b.counts(tcpPort)
	if f.Active < uint64(conns) || f.Dropped != 0 {
		t.Errorf("counts %+v", f)
	}
	t.Logf("%d changes in %v around %d connections and %d datagrams; %s", changes, time.Since(began).Round(time.Millisecond), conns, sent, m.summary(t, changes, changes/2))
}

const udpPort = tcpPort + 2000

// datagramStream is one client of UDP that never pauses, with the servers
// behind it, which tell who they are.
type datagramStream struct {
	name string
	quit chan struct{}
	work sync.WaitGroup

	mu     sync.Mutex // guards what follows
	server byte       // that answers; 0: not known yet
	sent   uint64
	got    uint64
	faults []string
}

// serve answers datagrams at the addresses on one port, by what came with the
// server's number in front; health checks are answered as they ask.
func (s *datagramStream) serve(t *testing.T, at []netip.AddrPort) uint16 {
	t.Helper()
	port := uint16(0)
	for i, a := range at {
		pc, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a.Addr(), port)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { pc.Close() })
		port = pc.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		go func() {
			buf := make([]byte, 64)
			for {
				n, from, err := pc.ReadFromUDPAddrPort(buf[1:])
				if err != nil {
					return
				}
				answer := buf[1 : n+1]
				if n == 8 {
					buf[0] = byte(i + 1)
					answer = buf[:n+1]
				}
				if _, err := pc.WriteToUDPAddrPort(answer, from); err != nil {
					return
				}
			}
		}()
	}
	return port
}

// start sends a numbered datagram every few milliseconds and expects its answer.
func (s *datagramStream) start(t *testing.T, to netip.AddrPort) {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	s.quit = make(chan struct{})
	s.work.Go(func() {
		defer c.Close()
		buf := make([]byte, 64)
		for {
			select {
			case <-s.quit:
				return
			case <-time.After(5 * time.Millisecond):
			}
			s.mu.Lock()
			s.sent++
			n := s.sent
			s.mu.Unlock()
			binary.BigEndian.PutUint64(buf, n)
			if _, err := c.Write(buf[:8]); err != nil {
				s.fault("send %d: %v", n, err)
				return
			}
			c.SetReadDeadline(time.Now().Add(20 * time.Second))
			k, err := c.Read(buf)
			if err != nil {
				s.fault("datagram %d was lost: %v", n, err)
				return
			}
			s.mu.Lock()
			s.got++
			last := s.server
			s.server = buf[0]
			s.mu.Unlock()
			if k != 9 || binary.BigEndian.Uint64(buf[1:]) != n || last != 0 && last != buf[0] {
				s.fault("datagram %d: answer %x, after one of server %d", n, buf[:k], last)
			}
		}
	})
}

func (s *datagramStream) fault(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, fmt.Sprintf(format, args...))
}

// check fails the test if a datagram was lost or went elsewhere.
func (s *datagramStream) check(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) > 0 {
		t.Fatalf("%d faults of the stream: %s", len(s.faults), s.faults[0])
	}
}

func (s *datagramStream) stop(t *testing.T) uint64 {
	t.Helper()
	close(s.quit)
	s.work.Wait()
	s.check(t)
	if s.got == 0 || s.got != s.sent {
		t.Errorf("%d of %d datagrams were answered", s.got, s.sent)
	}
	return s.sent
}

// stranger changes everything that is beside the listeners under test.
type stranger struct {
	*changer
	servers []string // registered, of nobody
	lists   []string // ACLs
}

func (m *stranger) moves() []move {
	return []move{
		{"a listener beside", m.listenerBeside},
		{"start or stop it", m.startOrStop},
		{"delete it", func() error {
			kind, port := m.beside()
			return m.try("DeleteLoadBalancerListener", "LoadBalancerId", m.id, "ListenerPort", port, "ListenerProtocol", strings.ToLower(kind))
		}},
		{"servers of the instance", m.members},
		{"a list", m.list},
		{"another instance", func() error { return m.another(9000, 9, func() []entry { return []entry{{m.pick(), 100}} }) }},
		{"a server of the register", func() error {
			status := []string{"Running", "Stopped"}[m.rnd.IntN(2)]
			return m.try("SetServerStatus", "ServerId", m.pick(), "Status", status)
		}},
		{"a name", m.rename},
		{"settings of the listeners", m.settings},
	}
}

func (m *stranger) pick() string { return m.servers[m.rnd.IntN(len(m.servers))] }

// beside is one of a few listeners, so that creation, start, stop and deletion
// meet.
func (m *stranger) beside() (kind string, port int) {
	n := m.rnd.IntN(3)
	return []string{"TCP", "UDP", "TCP"}[n], 9000 + n
}

func (m *stranger) listenerBeside() error {
	kind, port := m.beside()
	return m.try("CreateLoadBalancer"+kind+"Listener", "LoadBalancerId", m.id, "ListenerPort", port,
		"BackendServerPort", 9, "Bandwidth", -1, "Scheduler", []string{"wrr", "rr", "sch"}[m.rnd.IntN(3)])
}

func (m *stranger) startOrStop() error {
	action := []string{"Start", "Stop"}[m.rnd.IntN(2)]
	kind, port := m.beside()
	return m.try(action+"LoadBalancerListener", "LoadBalancerId", m.id, "ListenerPort", port, "ListenerProtocol", strings.ToLower(kind))
}

// members adds, removes and weighs servers that get no traffic: they fail the
// listeners' checks.
func (m *stranger) members() error {
	one := list(entry{m.pick(), m.rnd.IntN(101)})
	action := []string{"Add", "Set", "Remove"}[m.rnd.IntN(3)]
	return m.try(action+"BackendServers", "LoadBalancerId", m.id, "BackendServers", one)
}

// settings changes what concerns new connections alone.
func (m *stranger) settings() error {
	kind, port := "TCP", tcpPort
	if m.rnd.IntN(2) == 0 {
		kind, port = "UDP", udpPort
	}
	args := []any{"LoadBalancerId", m.id, "ListenerPort", port, "Scheduler", []string{"wrr", "rr", "wlc", "sch", "tch"}[m.rnd.IntN(5)]}
	if kind == "TCP" {
		args = append(args, "EstablishedTimeout", 300+m.rnd.IntN(600), "PersistenceTimeout", m.rnd.IntN(2)*60)
	}
	return m.try("SetLoadBalancer"+kind+"ListenerAttribute", args...)
}

// list makes an access control list or changes one.
func (m *stranger) list() error {
	if len(m.lists) < 3 {
		m.made++
		var out struct {
			AclID string `json:"AclId"`
		}
		if err := m.do("CreateAccessControlList", &out, "AclName", fmt.Sprintf("list-%d", m.made)); err != nil {
			return err
		}
		m.lists = append(m.lists, out.AclID)
	}
	id := m.lists[m.rnd.IntN(len(m.lists))]
	m.made++
	entry := fmt.Sprintf(`[{"entry":"10.%d.%d.0/24"}]`, m.made/256%256, m.made%256)
	return m.try("AddAccessControlListEntry", "AclId", id, "AclEntrys", entry)
}
