package store

import (
	"iter"
	"strings"

	"github.com/openslb/openslb/internal/slb"
)

// prefix is the part of the key space that is ours; the number is the version
// of the layout of keys, values have a version of their own.
const prefix = "/openslb/1/"

// kinds is the table of what is stored. A new kind is a row here, a Table in
// slb.State, and a TxTable in Tx.
var kinds = []*kind{
	newKind(slb.KindLoadBalancer,
		func(s *slb.State) *slb.Table[slb.LoadBalancer] { return &s.LoadBalancers },
		func(tx *Tx) *TxTable[slb.LoadBalancer] { return &tx.LoadBalancers }),
	newKind(slb.KindListener,
		func(s *slb.State) *slb.Table[slb.Listener] { return &s.Listeners },
		func(tx *Tx) *TxTable[slb.Listener] { return &tx.Listeners }),
	newKind(slb.KindVServerGroup,
		func(s *slb.State) *slb.Table[slb.VServerGroup] { return &s.VServerGroups },
		func(tx *Tx) *TxTable[slb.VServerGroup] { return &tx.VServerGroups }),
	newKind(slb.KindMasterSlaveGroup,
		func(s *slb.State) *slb.Table[slb.MasterSlaveServerGroup] { return &s.MasterSlaveGroups },
		func(tx *Tx) *TxTable[slb.MasterSlaveServerGroup] { return &tx.MasterSlaveGroups }),
	newKind(slb.KindRule,
		func(s *slb.State) *slb.Table[slb.Rule] { return &s.Rules },
		func(tx *Tx) *TxTable[slb.Rule] { return &tx.Rules }),
	newKind(slb.KindServerCertificate,
		func(s *slb.State) *slb.Table[slb.ServerCertificate] { return &s.ServerCertificates },
		func(tx *Tx) *TxTable[slb.ServerCertificate] { return &tx.ServerCertificates }),
	newKind(slb.KindCACertificate,
		func(s *slb.State) *slb.Table[slb.CACertificate] { return &s.CACertificates },
		func(tx *Tx) *TxTable[slb.CACertificate] { return &tx.CACertificates }),
	newKind(slb.KindDomainExtension,
		func(s *slb.State) *slb.Table[slb.DomainExtension] { return &s.DomainExtensions },
		func(tx *Tx) *TxTable[slb.DomainExtension] { return &tx.DomainExtensions }),
	newKind(slb.KindTLSCipherPolicy,
		func(s *slb.State) *slb.Table[slb.TLSCipherPolicy] { return &s.TLSCipherPolicies },
		func(tx *Tx) *TxTable[slb.TLSCipherPolicy] { return &tx.TLSCipherPolicies }),
	newKind(slb.KindAccessControlList,
		func(s *slb.State) *slb.Table[slb.AccessControlList] { return &s.AccessControlLists },
		func(tx *Tx) *TxTable[slb.AccessControlList] { return &tx.AccessControlLists }),
	newKind(slb.KindRegionSettings,
		func(s *slb.State) *slb.Table[slb.RegionSettings] { return &s.RegionSettings },
		func(tx *Tx) *TxTable[slb.RegionSettings] { return &tx.RegionSettings }),
	newKind(slb.KindServer,
		func(s *slb.State) *slb.Table[slb.Server] { return &s.Servers },
		func(tx *Tx) *TxTable[slb.Server] { return &tx.Servers }),
	newKind(slb.KindAccessKey,
		func(s *slb.State) *slb.Table[slb.AccessKey] { return &s.AccessKeys },
		func(tx *Tx) *TxTable[slb.AccessKey] { return &tx.AccessKeys }),
	newKind(slb.KindAddress,
		func(s *slb.State) *slb.Table[slb.AddressClaim] { return &s.Addresses },
		func(tx *Tx) *TxTable[slb.AddressClaim] { return &tx.Addresses }),
	newKind(slb.KindClientToken,
		func(s *slb.State) *slb.Table[slb.ClientToken] { return &s.ClientTokens },
		func(tx *Tx) *TxTable[slb.ClientToken] { return &tx.ClientTokens }),
}

// kind is one row of kinds, with the types taken out.
type kind struct {
	name   slb.Kind
	prefix string // of its keys in the KV, with the closing slash
	decode func(key string, value []byte) (resource any, err error)
	// set puts a resource that decode made into the state; nil removes the key.
	set       func(s *slb.State, key string, resource any, revision int64)
	revision  func(s *slb.State, key string) int64
	revisions func(s *slb.State) iter.Seq2[string, int64]
	// begin readies the kind's TxTable.
	begin func(tx *Tx)
}

// resource is what *T of every kind offers.
type resource[T any] interface {
	*T
	Key() string
	Clone() *T
}

func newKind[T any, P resource[T]](
	name slb.Kind,
	table func(*slb.State) *slb.Table[T],
	txTable func(*Tx) *TxTable[T],
) *kind {
	k := &kind{
		name:   name,
		prefix: prefix + string(name) + "/",
		decode: func(key string, value []byte) (any, error) {
			v, err := decode[T](value)
			if err == nil && P(v).Key() != key {
				err = &keyMismatchError{P(v).Key()}
			}
			return v, err
		},
		set: func(s *slb.State, key string, v any, revision int64) {
			typed, _ := v.(*T)
			slb.Set(s, table(s), key, typed, revision)
		},
		revision:  func(s *slb.State, key string) int64 { return table(s).RevisionOf(key) },
		revisions: func(s *slb.State) iter.Seq2[string, int64] { return table(s).Revisions() },
	}
	// made once, so that beginning a transaction allocates no more than the Tx.
	ops := &typeOps[T]{
		key:   func(v *T) string { return P(v).Key() },
		clone: func(v *T) *T { return P(v).Clone() },
	}
	k.begin = func(tx *Tx) {
		t := txTable(tx)
		t.tx, t.kind, t.ops, t.base = tx, k, ops, *table(&tx.snap.State)
		tx.tables = append(tx.tables, t)
	}
	return k
}

// typeOps are the methods of *T for code that knows T alone.
type typeOps[T any] struct {
	key   func(*T) string
	clone func(*T) *T
}

var kindByName = func() map[string]*kind {
	m := make(map[string]*kind, len(kinds))
	for _, k := range kinds {
		m[string(k.name)] = k
	}
	return m
}()

// splitKey finds the kind of a key of the KV and the key within it.
func splitKey(full string) (*kind, string, bool) {
	rest, ok := strings.CutPrefix(full, prefix)
	if !ok {
		return nil, "", false
	}
	name, key, ok := strings.Cut(rest, "/")
	if !ok {
		return nil, "", false
	}
	k, ok := kindByName[name]
	return k, key, ok
}
