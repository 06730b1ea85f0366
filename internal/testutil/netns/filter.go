package netns

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// BlackHole drops every packet that arrives in the namespace, loopback's
// excepted, as if the host had lost its power. What it returns ends that; so
// does the end of the namespace.
func (n *NS) BlackHole() (end func()) {
	n.t.Helper()
	conn, err := nftables.New(nftables.WithNetNSFd(int(n.fd)))
	if err != nil {
		n.t.Fatalf("namespace %s: nftables: %v", n.Name, err)
	}
	table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "black_hole"})
	chain := conn.AddChain(&nftables.Chain{
		Table: table, Name: "all", Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityRaw,
	})
	loopback := make([]byte, 16) // the length of an interface's name
	copy(loopback, "lo\x00")
	conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: loopback},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}})
	if err := conn.Flush(); err != nil {
		n.t.Fatalf("namespace %s: nftables: %v", n.Name, err)
	}
	return func() {
		n.t.Helper()
		conn.DelTable(table)
		if err := conn.Flush(); err != nil {
			n.t.Fatalf("namespace %s: nftables: %v", n.Name, err)
		}
	}
}
