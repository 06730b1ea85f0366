package transparent

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/testutil"
	"github.com/openslb/openslb/internal/testutil/netns"
)

// child makes the test binary a node that is killed while it is set up.
const child = "OPENSLB_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(child) != "" {
		if _, err := Setup(spec.SourceTransparent, slog.New(slog.DiscardHandler)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("ready")
		select {} // until it is killed
	}
	if err := netns.Isolate(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func setUp(t *testing.T, mode spec.SourceMode) *Source {
	t.Helper()
	s, err := Setup(mode, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// found lists what the namespace has of ours: tables, rules and routes.
func found(t *testing.T) (out []string) {
	t.Helper()
	conn, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	tables, err := conn.ListTables()
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		chains, err := conn.ListChainsOfTableFamily(nftables.TableFamilyINet)
		if err != nil {
			t.Fatal(err)
		}
		rules := 0
		for _, c := range chains {
			if c.Table.Name == table.Name {
				r, err := conn.GetRules(table, c)
				if err != nil {
					t.Fatal(err)
				}
				rules += len(r)
			}
		}
		out = append(out, fmt.Sprintf("table %s with %d rules", table.Name, rules))
	}
	for family, name := range map[int]string{unix.AF_INET: "ipv4", unix.AF_INET6: "ipv6"} {
		rules, err := netlink.RuleList(family)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rules {
			if r.Mark != 0 {
				out = append(out, fmt.Sprintf("%s rule %d: mark %#x/%#x table %d", name, r.Priority, r.Mark, *r.Mask, r.Table))
			}
		}
		routes, err := netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range routes {
			if r.Table >= routeTable && r.Table < routeTable+slots {
				out = append(out, fmt.Sprintf("%s route of table %d, type %d", name, r.Table, r.Type))
			}
		}
	}
	slices.Sort(out)
	return out
}

func ofSlot(slot int) []string {
	mark := markFirst + slot*markStep
	out := []string{fmt.Sprintf("table openslb_%d with 1 rules", slot)}
	for _, family := range []string{"ipv4", "ipv6"} {
		out = append(out,
			fmt.Sprintf("%s rule %d: mark %#x/0xfff00000 table %d", family, rulePriority+slot, mark, routeTable+slot),
			fmt.Sprintf("%s route of table %d, type 2", family, routeTable+slot))
	}
	slices.Sort(out)
	return out
}

func expect(t *testing.T, when string, want []string) {
	t.Helper()
	if got := found(t); !slices.Equal(got, want) {
		t.Errorf("%s there is\n%s\nwant\n%s", when, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSetUpAndTakenBack(t *testing.T) {
	testutil.Root(t)
	testutil.NoLeaks(t)
	s := setUp(t, spec.SourceTransparent)
	expect(t, "after set-up", ofSlot(0))
	if f := s.Facts(); f.InForce != spec.SourceTransparent || f.Asked != spec.SourceTransparent {
		t.Errorf("facts %+v", f)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	expect(t, "after close", nil)
}

// Nodes side by side have their own; the end of one takes nothing from another.
func TestNodesSideBySide(t *testing.T) {
	testutil.Root(t)
	first, second := setUp(t, spec.SourceTransparent), setUp(t, spec.SourceAuto)
	both := append(ofSlot(0), ofSlot(1)...)
	slices.Sort(both)
	expect(t, "with two nodes", both)
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	expect(t, "after the first", ofSlot(1))
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	expect(t, "after both", nil)

	var all []*Source
	for range slots {
		all = append(all, setUp(t, spec.SourceTransparent))
	}
	if _, err := Setup(spec.SourceTransparent, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "taken by other nodes") {
		t.Errorf("one too many: %v", err)
	}
	for _, s := range all {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	expect(t, "after all", nil)
}

// What killed nodes left is replaced, and cleared where it is in no one's way.
func TestLeftoversOfKilledNodes(t *testing.T) {
	testutil.Root(t)
	kill := make([]func(), 2)
	for i := range kill {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), child+"=1")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		netns.Here(t).Start(cmd)
		text := make([]byte, 256)
		if n, _ := out.Read(text); string(text[:n]) != "ready\n" {
			t.Fatalf("the child says %q", text[:n])
		}
		kill[i] = func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	for _, k := range kill {
		k()
	}
	left := append(ofSlot(0), ofSlot(1)...)
	slices.Sort(left)
	expect(t, "after two were killed", left)
	s := setUp(t, spec.SourceTransparent)
	expect(t, "with a new node", ofSlot(0))
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	expect(t, "at the end", nil)
}

// withoutRights calls fn on a thread that has no capabilities.
func withoutRights(t *testing.T, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { // the thread ends with this goroutine
		defer close(done)
		runtime.LockOSThread()
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		if err := unix.Capset(&header, &make([]unix.CapUserData, 2)[0]); err != nil {
			t.Error(err)
			return
		}
		fn()
	}()
	<-done
}

func TestWithoutRights(t *testing.T) {
	testutil.Root(t)
	withoutRights(t, func() {
		if _, err := Setup(spec.SourceTransparent, slog.New(slog.DiscardHandler)); !errors.Is(err, syscall.EPERM) ||
			!strings.Contains(err.Error(), "cap_net_admin+ep") || !strings.Contains(err.Error(), "source mode proxy") {
			t.Errorf("transparent: %v", err)
		}
		var log bytes.Buffer
		s, err := Setup(spec.SourceAuto, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		if f := s.Facts(); f.Asked != spec.SourceAuto || f.InForce != spec.SourceProxy || !strings.Contains(f.Reason, "CAP_NET_ADMIN") {
			t.Errorf("auto: %+v", f)
		}
		if text := log.String(); !strings.Contains(text, "source_mode=proxy asked=auto") || !strings.Contains(text, "CAP_NET_ADMIN") {
			t.Errorf("the log says %s", text)
		}
		if s.Covers(netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")) {
			t.Error("covers without being in force")
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	expect(t, "afterwards", nil)
}

func TestModes(t *testing.T) {
	for mode, reason := range map[spec.SourceMode]string{"": "the default", spec.SourceProxy: "asked for"} {
		s := setUp(t, mode)
		if f := s.Facts(); f != (spec.SourceFacts{Asked: spec.SourceProxy, InForce: spec.SourceProxy, Reason: reason}) {
			t.Errorf("%q: %+v", mode, f)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := Setup("clear", slog.New(slog.DiscardHandler)); err == nil {
		t.Error("an unknown mode")
	}
	var none *Source
	if none.Covers(netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")) || none.Facts().InForce != spec.SourceProxy || none.Close() != nil {
		t.Error("nil is not proxy mode")
	}
}

func TestCovers(t *testing.T) {
	testutil.Root(t)
	here := netns.Here(t)
	far := netns.New(t, "far")
	netns.Join(here, "to-far", far, "to-here")
	here.Address("to-far", "10.255.7.1/24", "fd00:7::1/64")
	s := setUp(t, spec.SourceTransparent)
	for _, row := range []struct {
		client, server string
		want           bool
	}{
		{"192.0.2.1", "10.255.7.2", true},
		{"::ffff:192.0.2.1", "10.255.7.2", true},
		{"2001:db8::1", "fd00:7::2", true},
		{"2001:db8::1", "10.255.7.2", false}, // another family
		{"192.0.2.1", "fd00:7::2", false},
		{"127.0.0.1", "10.255.7.2", false}, // this host
		{"192.0.2.1", "127.0.0.9", false},
		{"10.255.7.1", "10.255.7.2", false},
		{"192.0.2.1", "10.255.7.1", false},
		{"fd00:7::1", "fd00:7::2", false},
		{"fe80::1", "fd00:7::2", false}, // means nothing beyond its link
	} {
		if got := s.Covers(netip.MustParseAddr(row.client), netip.MustParseAddr(row.server)); got != row.want {
			t.Errorf("%s to %s: %v", row.client, row.server, got)
		}
	}
	client, server := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("10.255.7.9")
	if n := testing.AllocsPerRun(100, func() { s.Covers(client, server) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	// Addresses that come and go while the node runs.
	here.Address("to-far", "10.255.7.9/24")
	testutil.Eventually(t, 20*time.Second, "a new address of this host counts", func() bool { return !s.Covers(client, server) })
	here.Down("to-far")
	link, err := netlink.LinkByName("to-far")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.AddrDel(link, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(10, 255, 7, 9), Mask: net.CIDRMask(24, 32)}}); err != nil {
		t.Fatal(err)
	}
	testutil.Eventually(t, 20*time.Second, "an address that left counts no more", func() bool { return s.Covers(client, server) })
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
