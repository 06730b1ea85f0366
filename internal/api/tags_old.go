package api

import (
	"context"
	"slices"
	"strings"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

func (s *Server) oldTagActions() []rpc.Action {
	return []rpc.Action{
		rpc.NewAction("AddTags", s.addTags),
		rpc.NewAction("RemoveTags", s.removeTags),
		rpc.NewAction("DescribeTags", s.describeTags),
	}
}

// The limits of AddTags, which are tighter than those of TagResources for the
// very same tags. Source: AddTags.
const (
	maxOldTagsPerCall     = 5
	maxOldTagsPerInstance = 10
)

type oldTagsParams struct {
	LoadBalancerID slb.LoadBalancerID `param:"LoadBalancerId,required" maxlen:"64"`
	RegionID       string             `param:"RegionId,required"`
	Tags           []tagJSON          `param:"Tags,required" jsonparam:"true"`
}

// addTags gives a key that is there the new value.
func (s *Server) addTags(ctx context.Context, p *oldTagsParams) (*rpc.Empty, error) {
	if len(p.Tags) > maxOldTagsPerCall {
		return nil, slb.ErrTooManyTags.Because("Tags has %d of at most %d.", len(p.Tags), maxOldTagsPerCall)
	}
	added, err := tagsOf("Tags", asTagParams(p.Tags))
	if err != nil {
		return nil, err
	}
	return s.changeOldTags(ctx, p, func(tags []slb.Tag) ([]slb.Tag, error) { return withTags(tags, added, maxOldTagsPerInstance) })
}

// removeTags removes pairs; a pair without a value stands for its key.
func (s *Server) removeTags(ctx context.Context, p *oldTagsParams) (*rpc.Empty, error) {
	if len(p.Tags) > maxTags {
		return nil, slb.ErrTooManyTags.Because("Tags has %d of at most %d.", len(p.Tags), maxTags)
	}
	return s.changeOldTags(ctx, p, func(tags []slb.Tag) ([]slb.Tag, error) {
		return slices.DeleteFunc(tags, func(t slb.Tag) bool { return anyTagMatches(p.Tags, t) }), nil
	})
}

func (s *Server) changeOldTags(ctx context.Context, p *oldTagsParams, fn func(tags []slb.Tag) ([]slb.Tag, error)) (*rpc.Empty, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	return &rpc.Empty{}, s.editLoadBalancer(ctx, p.LoadBalancerID, func(_ *store.Tx, lb *slb.LoadBalancer) (err error) {
		lb.Tags, err = fn(lb.Tags)
		return err
	})
}

func asTagParams(tags []tagJSON) []tagParam {
	out := make([]tagParam, 0, len(tags))
	for _, t := range tags {
		out = append(out, tagParam(t))
	}
	return out
}

// anyTagMatches reports whether one of the pairs is the tag, or names its key
// and no value.
func anyTagMatches(pairs []tagJSON, t slb.Tag) bool {
	return slices.ContainsFunc(pairs, func(p tagJSON) bool { return p.Key == t.Key && (p.Value == nil || *p.Value == t.Value) })
}

type describeTagsParams struct {
	RegionID       string             `param:"RegionId,required"`
	DistinctKey    bool               `param:"DistinctKey"`
	LoadBalancerID slb.LoadBalancerID `param:"LoadBalancerId" maxlen:"64"`
	PageNumber     int                `param:"PageNumber" default:"1" range:"1..1000000"`
	PageSize       int                `param:"PageSize" default:"50" range:"1..100"`
	Tags           []tagJSON          `param:"Tags" jsonparam:"true" listmax:"20"`
}

type tagSet struct {
	InstanceCount int    `out:"InstanceCount"`
	TagKey        string `out:"TagKey"`
	TagValue      string `out:"TagValue"`
}

type describeTagsResult struct {
	PageNumber int      `out:"PageNumber"`
	PageSize   int      `out:"PageSize"`
	TagSets    []tagSet `out:"TagSets>TagSet"`
	TotalCount int      `out:"TotalCount"`
}

// describeTags counts instances per tag, in the order of keys and values. With
// DistinctKey all values of a key are one, told as empty. An instance that is
// not there has no tags.
func (s *Server) describeTags(_ context.Context, p *describeTagsParams) (*describeTagsResult, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	counts := map[slb.Tag]int{}
	for lb := range oneOrAll(s.cfg.Store.State().LoadBalancers, string(p.LoadBalancerID)) {
		for _, t := range lb.Tags {
			if len(p.Tags) > 0 && !anyTagMatches(p.Tags, t) {
				continue
			}
			if p.DistinctKey {
				t.Value = ""
			}
			counts[t]++
		}
	}
	sets := make([]tagSet, 0, len(counts))
	for t, n := range counts {
		sets = append(sets, tagSet{n, t.Key, t.Value})
	}
	slices.SortFunc(sets, func(a, b tagSet) int {
		if a.TagKey != b.TagKey {
			return strings.Compare(a.TagKey, b.TagKey)
		}
		return strings.Compare(a.TagValue, b.TagValue)
	})
	first := min((p.PageNumber-1)*p.PageSize, len(sets))
	return &describeTagsResult{p.PageNumber, p.PageSize, sets[first:min(first+p.PageSize, len(sets))], len(sets)}, nil
}
