package api

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

func (s *Server) tagActions() []rpc.Action {
	return []rpc.Action{
		rpc.NewAction("TagResources", s.tagResources),
		rpc.NewAction("UntagResources", s.untagResources),
		rpc.NewAction("ListTagResources", s.listTagResources),
	}
}

// taggedParams name resources of one type.
type taggedParams struct {
	RegionID     string         `param:"RegionId,required"`
	ResourceIDs  []string       `param:"ResourceId.N,required" listmax:"20"`
	ResourceType slb.TaggedType `param:"ResourceType,required"`
}

// changeTags commits what fn does to the tags of every named resource, or of
// none: all are written at once.
func (s *Server) changeTags(ctx context.Context, p *taggedParams, fn func(tags []slb.Tag) ([]slb.Tag, error)) (*rpc.Empty, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	scope := ""
	if len(p.ResourceIDs) == 1 && p.ResourceType == slb.TagInstance {
		scope = p.ResourceIDs[0]
	}
	return &rpc.Empty{}, s.update(ctx, scope, func(tx *store.Tx) error {
		for _, id := range p.ResourceIDs {
			tags, put, ok := editTags(tx, p.ResourceType, id)
			if !ok {
				return slb.ErrTaggedNotFound
			}
			before := slices.Clone(*tags)
			after, err := fn(*tags)
			if err != nil {
				return err
			}
			if !slices.Equal(before, after) {
				*tags = after
				put()
			}
		}
		return nil
	})
}

// withTags adds tags, or gives present ones new values.
func withTags(tags, added []slb.Tag, quota int) ([]slb.Tag, error) {
	had := len(tags)
	for _, t := range added {
		tags = setTag(tags, t)
	}
	if len(tags) > had && exceeds(len(tags), quota) {
		return nil, slb.ErrTagQuota.Because("It would have %d tags of at most %d.", len(tags), quota)
	}
	return tags, nil
}

type tagResourcesParams struct {
	taggedParams
	Tags []tagParam `param:"Tag.N,required"`
}

func (s *Server) tagResources(ctx context.Context, p *tagResourcesParams) (*rpc.Empty, error) {
	added, err := tagsOf("Tag", p.Tags)
	if err != nil {
		return nil, err
	}
	return s.changeTags(ctx, &p.taggedParams, func(tags []slb.Tag) ([]slb.Tag, error) {
		return withTags(tags, added, s.cfg.Quotas.TagsPerResource)
	})
}

type untagResourcesParams struct {
	taggedParams
	All     bool     `param:"All"` // only looked at without TagKey
	TagKeys []string `param:"TagKey.N" listmax:"20"`
}

// untagResources removes all tags only if All says so; without keys and without
// All there is nothing to remove.
func (s *Server) untagResources(ctx context.Context, p *untagResourcesParams) (*rpc.Empty, error) {
	return s.changeTags(ctx, &p.taggedParams, func(tags []slb.Tag) ([]slb.Tag, error) {
		if len(p.TagKeys) == 0 && p.All {
			return nil, nil
		}
		return slices.DeleteFunc(tags, func(t slb.Tag) bool { return slices.Contains(p.TagKeys, t.Key) }), nil
	})
}

type listTagResourcesParams struct {
	NextToken    string         `param:"NextToken" maxlen:"256"`
	RegionID     string         `param:"RegionId,required"`
	ResourceIDs  []string       `param:"ResourceId.N" listmax:"20"`
	ResourceType slb.TaggedType `param:"ResourceType,required"`
	Tags         []tagParam     `param:"Tag.N" listmax:"20"`
}

type tagResource struct {
	ResourceID   string `out:"ResourceId"`
	ResourceType string `out:"ResourceType"`
	TagKey       string `out:"TagKey"`
	TagValue     string `out:"TagValue"`
}

type listTagResourcesResult struct {
	NextToken    string        `out:"NextToken"`
	TagResources []tagResource `out:"TagResources>TagResource"`
}

// taggedPage is how many resources one answer of listTagResources tells of.
const taggedPage = 50

// listTagResources tells all tags of the resources that are named, or that have
// all the given tags, in the order of ids. An id that names nothing is passed
// over: clients ask for tags before they ask for the thing itself.
func (s *Server) listTagResources(_ context.Context, p *listTagResourcesParams) (*listTagResourcesResult, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	for _, t := range p.Tags {
		if t.Key == "" {
			return nil, invalidBecause("Tag", "A tag needs a key.")
		}
	}
	list := "tags of " + string(p.ResourceType)
	after, err := readToken(list, p.NextToken)
	if err != nil {
		return nil, err
	}
	r := &listTagResourcesResult{}
	filters := tagConditions(p.Tags)
	last, n := "", 0
	for thing := range candidates(s.cfg.Store.State(), p, filters) {
		if len(thing.tags) == 0 || thing.id <= after || !tagsMatch(thing.tags, filters) {
			continue
		}
		if n == taggedPage {
			r.NextToken = writeToken(list, last)
			break
		}
		for _, t := range thing.tags {
			r.TagResources = append(r.TagResources, tagResource{thing.id, string(p.ResourceType), t.Key, t.Value})
		}
		last = thing.id
		n++
	}
	return r, nil
}

// candidates yields the resources that may be asked for, in the order of ids.
func candidates(state *slb.State, p *listTagResourcesParams, filters []tagFilter) iter.Seq[taggedThing] {
	var found []taggedThing
	switch {
	case len(p.ResourceIDs) > 0:
		for _, id := range p.ResourceIDs {
			if thing, ok := findTagged(state, p.ResourceType, id); ok {
				found = append(found, thing)
			}
		}
	case len(filters) > 0:
		for key := range state.WithTag(p.ResourceType, filters[0].key, filters[0].value) {
			for thing := range taggedFrom(state, p.ResourceType, key) {
				if thing.key == key {
					found = append(found, thing)
					break
				}
			}
		}
	default:
		found = slices.Collect(taggedFrom(state, p.ResourceType, ""))
	}
	slices.SortFunc(found, func(a, b taggedThing) int { return strings.Compare(a.id, b.id) })
	return slices.Values(slices.CompactFunc(found, func(a, b taggedThing) bool { return a.id == b.id }))
}
