package api

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
)

// maxTags is the most tags of one call. Source: CreateLoadBalancer.
const maxTags = 20

// tagParam is one Tag.N. A client leaves an empty value out of the request.
type tagParam struct {
	Key   string  `param:"Key"`
	Value *string `param:"Value"`
}

// Lengths in characters: of a tag's key everywhere and in UploadCACertificate, and
// of its value.
const (
	maxTagKey   = 64
	maxTagKeyCA = 128
	maxTagValue = 128
)

// tagsOf checks tags that are to be set; name is that of their parameter. Two
// values for one key are refused, as only one of them could be kept.
func tagsOf(name string, params []tagParam) ([]slb.Tag, error) {
	return tagsWithin(name, params, maxTagKey)
}

func tagsWithin(name string, params []tagParam, keyLimit int) ([]slb.Tag, error) {
	if len(params) > maxTags {
		return nil, slb.ErrTooManyTags.Because("%s has %d of at most %d.", name, len(params), maxTags)
	}
	var out []slb.Tag
	for _, p := range params {
		t := slb.Tag{Key: p.Key}
		if p.Value != nil {
			t.Value = *p.Value
		}
		switch {
		case t.Key == "":
			return nil, invalidBecause(name, "A tag needs a key.")
		case !tagTextFits(t.Key, keyLimit):
			return nil, refusedTag(name, "key", t.Key, keyLimit)
		case !tagTextFits(t.Value, maxTagValue):
			return nil, refusedTag(name, "value", t.Value, maxTagValue)
		case slices.ContainsFunc(out, func(o slb.Tag) bool { return o.Key == t.Key }):
			return nil, invalidBecause(name, fmt.Sprintf("The key %s stands in it twice.", rpc.Shown(t.Key)))
		}
		out = append(out, t)
	}
	return out, nil
}

func refusedTag(name, part, text string, limit int) error {
	return invalidBecause(name, fmt.Sprintf("The %s of a tag is %s; it must have at most %d characters, not begin with aliyun or acs:, and not hold http:// or https://.",
		part, rpc.Shown(text), limit))
}

func setTag(tags []slb.Tag, t slb.Tag) []slb.Tag {
	for i := range tags {
		if tags[i].Key == t.Key {
			tags[i].Value = t.Value
			return tags
		}
	}
	return append(tags, t)
}

// tagTextFits applies the rules for keys and values: a length in characters,
// and beginnings and contents that the vendor keeps for itself.
func tagTextFits(text string, limit int) bool {
	lower := strings.ToLower(text)
	return utf8.RuneCountInString(text) <= limit &&
		!strings.HasPrefix(lower, "aliyun") && !strings.HasPrefix(lower, "acs:") &&
		!strings.Contains(lower, "http://") && !strings.Contains(lower, "https://")
}

// tagFilter is one condition on tags; a nil value asks for the key alone.
type tagFilter struct {
	key   string
	value *string
}

// tagConditions are the conditions of Tag.N.
func tagConditions(params []tagParam) []tagFilter {
	var out []tagFilter
	for _, p := range params {
		out = append(out, tagFilter{p.Key, p.Value})
	}
	return out
}

// tagsMatch reports whether all conditions hold.
func tagsMatch(tags []slb.Tag, filters []tagFilter) bool {
	for _, f := range filters {
		found := false
		for _, t := range tags {
			if t.Key == f.key && (f.value == nil || t.Value == *f.value) {
				found = true
				break
			}
		}
		if !found {
			return false
		}
	}
	return true
}

// tagOut is a tag in an answer.
type tagOut struct {
	TagKey   string `out:"TagKey"`
	TagValue string `out:"TagValue"`
}

func tagsOut(tags []slb.Tag) []tagOut {
	out := make([]tagOut, 0, len(tags))
	for _, t := range tags {
		out = append(out, tagOut{t.Key, t.Value})
	}
	return out
}
