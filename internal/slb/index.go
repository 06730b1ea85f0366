package slb

import (
	"iter"
	"strings"
)

// Indexed is what a resource offers to be found by something else than its key.
type Indexed interface {
	// IndexKeys are made by indexKey. The last part of each names the resource
	// found.
	IndexKeys() []string
}

// The relations of the index. Each is followed by what is looked up and ends
// with what is found.
const (
	indexAttached             = "attached"    // server ID, instance, where
	indexGroupsOf             = "groups"      // instance, vserver group
	indexPairsOf              = "pairs"       // instance, master/slave group
	indexRulesOf              = "rules"       // listener key, rule
	indexGroupRules           = "grouprules"  // vserver group, rule
	indexGroupListeners       = "grouplst"    // group of either kind, listener key
	indexACLListeners         = "acllst"      // ACL, listener key
	indexCertificateListeners = "certlst"     // certificate of either kind, listener key
	indexPolicyListeners      = "policylst"   // TLS policy, listener key
	indexDomainsOf            = "domains"     // listener key, domain extension
	indexCertificateDomains   = "certdomains" // server certificate, domain extension
	indexTag                  = "tag"         // type, key, value, resource
	indexName                 = "name"        // instance name, instance
)

// indexSeparator cannot occur in what is indexed: parameters with control
// characters are refused.
const indexSeparator = "\x00"

func indexKey(parts ...string) string { return strings.Join(parts, indexSeparator) }

// TaggedType is a type of resource in the actions on tags.
type TaggedType string

// The tagged types. Server and CA certificates share one.
const (
	TagInstance     TaggedType = "instance"
	TagListener     TaggedType = "listener"
	TagVServerGroup TaggedType = "vservergroup"
	TagCertificate  TaggedType = "certificate"
	TagACL          TaggedType = "acl"

	TagMasterSlaveGroup TaggedType = "masterslaveservergroup"
)

// UnmarshalText accepts any case.
func (t *TaggedType) UnmarshalText(b []byte) error {
	return parseEnum(b, t, TagInstance, TagListener, TagVServerGroup, TagMasterSlaveGroup, TagCertificate, TagACL)
}

func tagKeys(t TaggedType, id string, tags []Tag) []string {
	var keys []string
	for _, tag := range tags {
		keys = append(keys, indexKey(indexTag, string(t), tag.Key, tag.Value, id))
	}
	return keys
}

// found yields the last part of what the index holds under the parts.
func (s *State) found(parts ...string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for rest := range s.under(parts...) {
			if i := strings.LastIndex(rest, indexSeparator); i >= 0 {
				rest = rest[i+len(indexSeparator):]
			}
			if !yield(rest) {
				return
			}
		}
	}
}

// under yields what follows the parts in the index.
func (s *State) under(parts ...string) iter.Seq[string] {
	prefix := indexKey(parts...) + indexSeparator
	return func(yield func(string) bool) {
		for k := range s.index.Prefix(prefix) {
			if !yield(k[len(prefix):]) {
				return
			}
		}
	}
}

// resolve looks keys up in their table.
func resolve[T any](t Table[T], keys iter.Seq[string]) []*T {
	var out []*T
	for k := range keys {
		if v, ok := t.Get(k); ok {
			out = append(out, v)
		}
	}
	return out
}
