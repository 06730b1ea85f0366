package api

import (
	"iter"
	"strconv"
	"strings"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

// taggedThing is a resource as the actions on tags see it.
type taggedThing struct {
	key  string // in the store
	id   string // as on the wire
	tags []slb.Tag
}

// editTags gives the tags of a resource to be changed within tx, and a function
// that puts the resource.
func editTags(tx *store.Tx, t slb.TaggedType, id string) (tags *[]slb.Tag, put func(), ok bool) {
	switch t {
	case slb.TagInstance:
		return editTagsIn(&tx.LoadBalancers, id, func(v *slb.LoadBalancer) *[]slb.Tag { return &v.Tags })
	case slb.TagListener:
		key, protocol, ok := listenerOfTagID(id)
		if l, there := tx.Listeners.Get(key); !ok || !there || l.Protocol != protocol {
			return nil, nil, false
		}
		return editTagsIn(&tx.Listeners, key, func(v *slb.Listener) *[]slb.Tag { return &v.Tags })
	case slb.TagVServerGroup:
		return editTagsIn(&tx.VServerGroups, id, func(v *slb.VServerGroup) *[]slb.Tag { return &v.Tags })
	case slb.TagMasterSlaveGroup:
		return editTagsIn(&tx.MasterSlaveGroups, id, func(v *slb.MasterSlaveServerGroup) *[]slb.Tag { return &v.Tags })
	case slb.TagACL:
		return editTagsIn(&tx.AccessControlLists, id, func(v *slb.AccessControlList) *[]slb.Tag { return &v.Tags })
	case slb.TagCertificate:
		if tags, put, ok = editTagsIn(&tx.ServerCertificates, id, func(v *slb.ServerCertificate) *[]slb.Tag { return &v.Tags }); ok {
			return tags, put, ok
		}
		return editTagsIn(&tx.CACertificates, id, func(v *slb.CACertificate) *[]slb.Tag { return &v.Tags })
	}
	return nil, nil, false
}

func editTagsIn[T any](table *store.TxTable[T], key string, tags func(*T) *[]slb.Tag) (*[]slb.Tag, func(), bool) {
	v, ok := table.Edit(key)
	if !ok {
		return nil, nil, false
	}
	return tags(v), func() { table.Put(v) }, true
}

// findTagged looks a resource up by its id on the wire.
func findTagged(s *slb.State, t slb.TaggedType, id string) (taggedThing, bool) {
	key := id
	if t == slb.TagListener {
		var ok bool
		if key, _, ok = listenerOfTagID(id); !ok {
			return taggedThing{}, false
		}
	}
	for thing := range taggedFrom(s, t, key) {
		if strings.EqualFold(thing.id, id) {
			return thing, true
		}
	}
	return taggedThing{}, false
}

// taggedFrom yields the resources of a type whose key in the store begins with
// prefix, in the order of keys.
func taggedFrom(s *slb.State, t slb.TaggedType, prefix string) iter.Seq[taggedThing] {
	switch t {
	case slb.TagInstance:
		return things(s.LoadBalancers, prefix, func(v *slb.LoadBalancer) taggedThing { return taggedThing{v.Key(), string(v.ID), v.Tags} })
	case slb.TagListener:
		return things(s.Listeners, prefix, func(v *slb.Listener) taggedThing { return taggedThing{v.Key(), tagIDOfListener(v), v.Tags} })
	case slb.TagVServerGroup:
		return things(s.VServerGroups, prefix, func(v *slb.VServerGroup) taggedThing { return taggedThing{v.Key(), v.ID, v.Tags} })
	case slb.TagMasterSlaveGroup:
		return things(s.MasterSlaveGroups, prefix, func(v *slb.MasterSlaveServerGroup) taggedThing { return taggedThing{v.Key(), v.ID, v.Tags} })
	case slb.TagACL:
		return things(s.AccessControlLists, prefix, func(v *slb.AccessControlList) taggedThing { return taggedThing{v.Key(), v.ID, v.Tags} })
	}
	return func(yield func(taggedThing) bool) {
		for thing := range things(s.ServerCertificates, prefix, func(v *slb.ServerCertificate) taggedThing { return taggedThing{v.Key(), v.ID, v.Tags} }) {
			if !yield(thing) {
				return
			}
		}
		for thing := range things(s.CACertificates, prefix, func(v *slb.CACertificate) taggedThing { return taggedThing{v.Key(), v.ID, v.Tags} }) {
			if !yield(thing) {
				return
			}
		}
	}
}

func things[T any](table slb.Table[T], prefix string, of func(*T) taggedThing) iter.Seq[taggedThing] {
	return func(yield func(taggedThing) bool) {
		for _, v := range table.Prefix(prefix) {
			if !yield(of(v)) {
				return
			}
		}
	}
}

// tagIDOfListener names a listener in the actions on tags: lb-xxx_http_80.
// Source: TagResources.
func tagIDOfListener(l *slb.Listener) string {
	return string(l.LoadBalancerID) + "_" + string(l.Protocol) + "_" + strconv.Itoa(int(l.Port))
}

// listenerOfTagID reads what tagIDOfListener writes.
func listenerOfTagID(id string) (key string, protocol slb.Protocol, ok bool) {
	rest, portText, ok := cutLast(id, "_")
	if !ok {
		return "", "", false
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	lb, text, ok := cutLast(rest, "_")
	if err != nil || !ok || protocol.UnmarshalText([]byte(text)) != nil || protocol == "" {
		return "", "", false
	}
	return slb.ListenerKey(slb.LoadBalancerID(lb), protocol.Family(), uint16(port)), protocol, true
}

func cutLast(text, sep string) (before, after string, found bool) {
	i := strings.LastIndex(text, sep)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(sep):], true
}
