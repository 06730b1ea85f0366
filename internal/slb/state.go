package slb

import "slices"

// State is everything the store held at one revision. It is immutable: a change
// makes a new State that shares what did not change.
type State struct {
	// Revision is the store's revision that this State reflects.
	Revision           int64
	LoadBalancers      Table[LoadBalancer]
	Listeners          Table[Listener]
	VServerGroups      Table[VServerGroup]
	MasterSlaveGroups  Table[MasterSlaveServerGroup]
	Rules              Table[Rule]
	ServerCertificates Table[ServerCertificate]
	CACertificates     Table[CACertificate]
	DomainExtensions   Table[DomainExtension]
	TLSCipherPolicies  Table[TLSCipherPolicy]
	AccessControlLists Table[AccessControlList]
	RegionSettings     Table[RegionSettings]
	Servers            Table[Server]
	AccessKeys         Table[AccessKey]
	Addresses          Table[AddressClaim]
	ClientTokens       Table[ClientToken]

	// index finds resources by something else than their key, see Indexed.
	index Table[struct{}]
}

// Kind names a kind of resource in the store's keys.
type Kind string

// The kinds.
const (
	KindLoadBalancer      Kind = "loadbalancer"
	KindListener          Kind = "listener"
	KindVServerGroup      Kind = "vservergroup"
	KindMasterSlaveGroup  Kind = "masterslavegroup"
	KindRule              Kind = "rule"
	KindServerCertificate Kind = "servercertificate"
	KindCACertificate     Kind = "cacertificate"
	KindDomainExtension   Kind = "domainextension"
	KindTLSCipherPolicy   Kind = "tlscipherpolicy"
	KindAccessControlList Kind = "acl"
	KindRegionSettings    Kind = "regionsettings"
	KindServer            Kind = "server"
	KindAccessKey         Kind = "accesskey"
	KindAddress           Kind = "address"
	KindClientToken       Kind = "clienttoken"
)

// Set puts v, which the store wrote at revision, under key into t, a table of
// s; a nil v removes the key. The index follows.
func Set[T any](s *State, t *Table[T], key string, v *T, revision int64) {
	var before, after []string
	if old, ok := t.Get(key); ok {
		before = indexKeysOf(old)
	}
	if v == nil {
		*t = t.Without(key)
	} else {
		*t = t.WithAt(key, v, revision)
		after = indexKeysOf(v)
	}
	// Most changes leave what is indexed as it was.
	if slices.Equal(before, after) {
		return
	}
	for _, k := range before {
		if !slices.Contains(after, k) {
			s.index = s.index.Without(k)
		}
	}
	for _, k := range after {
		if _, ok := s.index.Get(k); !ok {
			s.index = s.index.With(k, &struct{}{})
		}
	}
}

func indexKeysOf(v any) []string {
	if i, ok := v.(Indexed); ok {
		return i.IndexKeys()
	}
	return nil
}
