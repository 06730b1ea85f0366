package transparent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// What a node uses on its host. Nodes side by side, such as one that takes over
// from another, have a slot each, so that none depends on what another takes
// back.
const (
	slots     = 8
	tableName = "openslb_" // and the slot

	// markMask are the bits of a packet's mark that are ours; others are kept.
	markMask  = 0xfff00000
	markFirst = 0x51b00000 // of slot 0
	markStep  = 0x00100000

	rulePriority = 8680   // of slot 0: before the rules of the main table
	routeTable   = 868000 // of slot 0
)

// host is what a node has set up on its host.
type host struct {
	slot int
	lock *lock
	ipv6 bool
}

// prepare sets up the first free slot, and clears what nodes that are no more
// left in others.
func prepare() (*host, error) {
	if err := canBindForeign(); err != nil {
		return nil, err
	}
	var mine *host
	for slot := range slots {
		l, err := take(slot)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("claim a slot for transparent source addresses: %w", err)
		}
		h := &host{slot: slot, lock: l}
		switch {
		case mine != nil:
			err = h.close()
		default:
			if err = h.setUp(); err == nil {
				mine = h
			} else {
				_ = h.close() // the first error is the one to tell
			}
		}
		if err != nil {
			if mine != nil {
				_ = mine.close()
			}
			return nil, explain(err)
		}
	}
	if mine == nil {
		return nil, fmt.Errorf("transparent source addresses: all %d slots of this host are taken by other nodes", slots)
	}
	return mine, nil
}

// setUp makes table, rules and routes, whatever of them is there already.
func (h *host) setUp() error {
	if err := h.addRoutes(unix.AF_INET); err != nil {
		return err
	}
	err := h.addRoutes(unix.AF_INET6)
	h.ipv6 = err == nil
	// Denied, other than not permitted, is what a host says that has it disabled.
	if err != nil && !absent(err) && !errors.Is(err, syscall.EACCES) {
		return err
	}
	return h.addTable()
}

// close takes everything back that the slot has on the host, and leaves the slot.
func (h *host) close() error {
	err := errors.Join(h.deleteTable(), h.deleteRoutes(unix.AF_INET), h.deleteRoutes(unix.AF_INET6))
	h.lock.release()
	return err
}

func (h *host) table() *nftables.Table {
	return &nftables.Table{Family: nftables.TableFamilyINet, Name: fmt.Sprintf("%s%d", tableName, h.slot)}
}

func (h *host) mark() uint32 { return markFirst + uint32(h.slot)*markStep }

// addTable puts a fresh table in the place of what is there, in one step.
func (h *host) addTable() error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	table := h.table()
	conn.AddTable(table) // so that it can be deleted
	conn.DelTable(table)
	conn.AddTable(table)
	chain := conn.AddChain(&nftables.Chain{
		Table: table, Name: "incoming", Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityMangle,
	})
	// socket transparent 1 meta mark set (meta mark & ~mask) ^ mark
	//
	// The socket is looked for by both addresses and ports, for ICMP errors by
	// those of the packet they are about.
	conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Socket{Key: expr.SocketKeyTransparent, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{1}},
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: word(^uint32(markMask)), Xor: word(h.mark())},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: 1},
	}})
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("make the nftables table %s: %w", table.Name, err)
	}
	return nil
}

func word(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

func (h *host) deleteTable() error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	table := h.table()
	conn.DelTable(table)
	if err := conn.Flush(); err != nil && !errors.Is(err, syscall.ENOENT) {
		return fmt.Errorf("delete the nftables table %s: %w", table.Name, err)
	}
	return nil
}

func (h *host) rule(family int) *netlink.Rule {
	r := netlink.NewRule()
	mask := uint32(markMask)
	r.Family, r.Priority, r.Table, r.Mark, r.Mask = family, rulePriority+h.slot, routeTable+h.slot, h.mark(), &mask
	return r
}

func (h *host) route(family int) *netlink.Route {
	all := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
	if family == unix.AF_INET6 {
		all = &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
	}
	const loopback = 1 // its index in every namespace
	return &netlink.Route{Family: family, LinkIndex: loopback, Dst: all, Table: routeTable + h.slot,
		Type: unix.RTN_LOCAL, Scope: netlink.SCOPE_HOST}
}

// addRoutes makes the rule and the route of one family.
func (h *host) addRoutes(family int) error {
	if err := netlink.RouteReplace(h.route(family)); err != nil {
		return fmt.Errorf("add a local route to routing table %d: %w", routeTable+h.slot, err)
	}
	if err := netlink.RuleAdd(h.rule(family)); err != nil && !errors.Is(err, syscall.EEXIST) {
		return fmt.Errorf("add the routing rule %d: %w", rulePriority+h.slot, err)
	}
	return nil
}

// deleteRoutes deletes the rule and the route of one family, as far as they are
// there.
func (h *host) deleteRoutes(family int) error {
	var errs []error
	if err := netlink.RuleDel(h.rule(family)); err != nil && !absent(err) {
		errs = append(errs, fmt.Errorf("delete the routing rule %d: %w", rulePriority+h.slot, err))
	}
	if err := netlink.RouteDel(h.route(family)); err != nil && !absent(err) {
		errs = append(errs, fmt.Errorf("delete the route of routing table %d: %w", routeTable+h.slot, err))
	}
	return errors.Join(errs...)
}

// absent reports whether something is not there, or not even its family.
func absent(err error) bool {
	return errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ESRCH) ||
		errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EOPNOTSUPP)
}
