package api

import (
	"fmt"
	"slices"
	"strings"
)

// Quotas are upper limits. 0 means the default, -1 no limit.
type Quotas struct {
	LoadBalancers          int // of the server; default 60
	BackendServers         int // of one instance, in all its groups; default 200
	Listeners              int // of one instance; default 50
	AttachmentsPerServer   int // instances that one server may join; default 50
	ServerGroups           int // of one instance and kind; default 1000
	GroupServers           int // entries of one vserver group; default 1000
	GroupServersPerCall    int // entries that one action on vserver groups may name; default 40
	Rules                  int // forwarding rules of one listener; default 40
	ACLs                   int // of the server; default 50
	ACLEntries             int // of one access control list; default 300
	ACLEntriesPerListener  int // of all lists of one listener; default 1000
	ListenersPerACL        int // listeners that one list may be named by; default 50
	WhiteListItems         int // of the old white list of one listener; default 300
	ServerCertificates     int // of the server; default 100
	CACertificates         int // of the server; default 100
	DomainExtensions       int // additional domains of one HTTPS listener; default 3
	TagsPerResource        int // default 20
	AccessKeys             int // default 100
	RegisteredServers      int // default no limit
	ClientTokenSweepPerRun int // expired tokens deleted by one creation; default 32
}

// Unlimited is the value of a quota without a limit.
const Unlimited = -1

// quota is a row of the table of quotas. Its name is the vendor's where there is
// one, else of the same kind; a quota without a name is no setting.
type quota struct {
	name     string
	field    func(*Quotas) *int
	fallback int
	meaning  string
}

// quotas is the table of all. The figures are those of the vendor's limits
// pages, where they exist; the 40 servers of a call are what the vendor's own
// controller sends, which the documented 20 would shut out.
var quotas = []quota{
	{"slbs-per-user", func(q *Quotas) *int { return &q.LoadBalancers }, 60, "load balancers"},
	{"listeners-per-slb", func(q *Quotas) *int { return &q.Listeners }, 50, "listeners of one load balancer"},
	{"backendservers-per-slb", func(q *Quotas) *int { return &q.BackendServers }, 200, "servers of one load balancer, in all its groups"},
	{"slbs-per-backendserver", func(q *Quotas) *int { return &q.AttachmentsPerServer }, 50, "load balancers that one server may join"},
	{"servergroups-per-slb", func(q *Quotas) *int { return &q.ServerGroups }, 1000, "server groups of one load balancer and kind"},
	{"servers-per-servergroup", func(q *Quotas) *int { return &q.GroupServers }, 1000, "entries of one vserver group"},
	{"servergroup-servers-per-call", func(q *Quotas) *int { return &q.GroupServersPerCall }, 40, "entries that one action on vserver groups may name"},
	{"rules-per-listener", func(q *Quotas) *int { return &q.Rules }, 40, "forwarding rules of one listener"},
	{"domain-extensions-per-listener", func(q *Quotas) *int { return &q.DomainExtensions }, 3, "additional domains of one listener"},
	{"server-cers-per-region", func(q *Quotas) *int { return &q.ServerCertificates }, 100, "server certificates"},
	{"client-ca-cers-per-region", func(q *Quotas) *int { return &q.CACertificates }, 100, "CA certificates"},
	{"acls-per-region", func(q *Quotas) *int { return &q.ACLs }, 50, "access control lists"},
	{"entries-per-acl", func(q *Quotas) *int { return &q.ACLEntries }, 300, "entries of one access control list"},
	{"listeners-per-acl", func(q *Quotas) *int { return &q.ListenersPerACL }, 50, "listeners that one access control list may be named by"},
	{"acl-entries-per-listener", func(q *Quotas) *int { return &q.ACLEntriesPerListener }, 1000, "entries of all access control lists of one listener"},
	{"white-list-items-per-listener", func(q *Quotas) *int { return &q.WhiteListItems }, 300, "items of the old white list of one listener"},
	{"tags-per-resource", func(q *Quotas) *int { return &q.TagsPerResource }, 20, "tags of one resource"},
	{"access-keys", func(q *Quotas) *int { return &q.AccessKeys }, 100, "access keys"},
	{"registered-servers", func(q *Quotas) *int { return &q.RegisteredServers }, Unlimited, "servers in the register"},
	{"", func(q *Quotas) *int { return &q.ClientTokenSweepPerRun }, 32, ""},
}

// withDefaults gives what is 0 the figures of the table.
func (q Quotas) withDefaults() Quotas {
	for _, row := range quotas {
		if f := row.field(&q); *f == 0 {
			*f = row.fallback
		}
	}
	return q
}

// QuotasByName are the quotas whose names are given, the others being the
// defaults. 0 is the default, -1 no limit; an unknown name or another negative
// number is an error.
func QuotasByName(values map[string]int) (Quotas, error) {
	var q Quotas
	for name, value := range values {
		i := slices.IndexFunc(quotas, func(row quota) bool { return row.name != "" && strings.EqualFold(row.name, name) })
		if i < 0 {
			return q, fmt.Errorf("there is no quota %q; the quotas are %s", name, strings.Join(quotaNames(), ", "))
		}
		if value < Unlimited {
			return q, fmt.Errorf("quota %s: %d is neither a limit nor -1, which is none", name, value)
		}
		*quotas[i].field(&q) = value
	}
	return q.withDefaults(), nil
}

func quotaNames() []string {
	var out []string
	for _, row := range quotas {
		if row.name != "" {
			out = append(out, row.name)
		}
	}
	return out
}

// DescribeQuotas lists the quotas with their defaults, in words.
func DescribeQuotas() string {
	var out []string
	for _, row := range quotas {
		switch {
		case row.name == "":
		case row.fallback == Unlimited:
			out = append(out, row.name+" (no limit)")
		default:
			out = append(out, fmt.Sprintf("%s (%d)", row.name, row.fallback))
		}
	}
	return strings.Join(out, ", ")
}

// exceeds reports whether count is above the limit.
func exceeds(count, limit int) bool { return limit >= 0 && count > limit }
