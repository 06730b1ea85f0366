package system

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/testutil"
)

// admits reports whether a connection from a local address gets an answer.
func admits(t *testing.T, addr netip.AddrPort, from, request string) bool {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second}
	c, err := d.Dial("tcp", addr.String())
	if err != nil {
		return false // reset before the dial had returned
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = c.Write([]byte(request)) // a reset shows when reading
	n, err := c.Read(make([]byte, 1))
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		t.Errorf("%s from %s: neither an answer nor an end", addr, from)
	}
	return n == 1
}

// TestAccessControl: access control lists and the old white list hold for new
// connections of both layers as soon as the call has answered.
func TestAccessControl(t *testing.T) {
	testutil.NoLeaks(t)
	web, echo := testutil.Hosts(t, ids("i", 1)...)
	c := startNode(t)
	c.register(web...)
	b := c.balancer("guarded")
	b.add(entry{web[0].ID, 100})
	http := b.listen("HTTP", httpPort, web[0].Addr().Port(), off...)
	tcp := b.listen("TCP", tcpPort, echo[0].Addr().Port(), off...)

	var made struct {
		ACLID string `json:"AclId"`
	}
	if err := c.do("CreateAccessControlList", &made, "AclName", "guests", "RegionId", "cn-hangzhou"); err != nil {
		t.Fatal(err)
	}
	acl := made.ACLID
	each := func(action string, more ...any) {
		t.Helper()
		for kind, port := range map[string]uint16{"HTTP": httpPort, "TCP": tcpPort} {
			name := action
			if name == "" {
				name = "SetLoadBalancer" + kind + "ListenerAttribute"
			}
			b.call(name, append([]any{"LoadBalancerId", b.id, "ListenerPort", port}, more...)...)
		}
	}
	check := func(what string, one, two bool) {
		t.Helper()
		for from, want := range map[string]bool{"127.0.0.1": one, "127.0.0.2": two} {
			if got := admits(t, http, from, "GET / HTTP/1.0\r\n\r\n"); got != want {
				t.Errorf("%s: HTTP from %s: %v", what, from, got)
			}
			if got := admits(t, tcp, from, "x\n"); got != want {
				t.Errorf("%s: TCP from %s: %v", what, from, got)
			}
		}
	}
	check("no list", true, true)
	each("", "AclStatus", "on", "AclType", "white", "AclId", acl)
	check("white and empty", true, true)
	c.call("AddAccessControlListEntry", "RegionId", "cn-hangzhou", "AclId", acl, "AclEntrys", `[{"entry":"127.0.0.2"},{"entry":"10.0.0.0/8"}]`)
	check("white", false, true)
	each("", "AclType", "black")
	check("black", true, false)
	c.call("RemoveAccessControlListEntry", "RegionId", "cn-hangzhou", "AclId", acl, "AclEntrys", `[{"entry":"127.0.0.2/32"}]`)
	check("black without the address", true, true)
	each("", "AclStatus", "off")
	check("off", true, true)

	each("SetListenerAccessControlStatus", "AccessControlStatus", "open_white_list")
	check("white list, open and empty", false, false)
	each("AddListenerWhiteListItem", "SourceItems", "127.0.0.0/31")
	check("white list", true, false)
	each("SetListenerAccessControlStatus", "AccessControlStatus", "close")
	check("white list, closed", true, true)
}
