package api

import (
	"strings"
	"unicode/utf8"

	"github.com/openslb/openslb/internal/slb"
)

// maxTags is the most tags of one call. Source: CreateLoadBalancer.
const maxTags = 20

// tagParam is one Tag.N. A client leaves an empty value out of the request.
type tagParam struct {
	Key   string  `param:"Key"`
	Value *string `param:"Value"`
}

// Lengths of a tag's key, in characters: everywhere, and in UploadCACertificate.
const (
	maxTagKey   = 64
	maxTagKeyCA = 128
)

// tagsOf checks tags that are to be set. The last of several values for one key
// counts.
func tagsOf(params []tagParam) ([]slb.Tag, error) { return tagsWithin(params, maxTagKey) }

func tagsWithin(params []tagParam, keyLimit int) ([]slb.Tag, error) {
	if len(params) > maxTags {
		return nil, slb.ErrTooManyTags
	}
	var out []slb.Tag
	for _, p := range params {
		t := slb.Tag{Key: p.Key}
		if p.Value != nil {
			t.Value = *p.Value
		}
		if !tagTextFits(t.Key, keyLimit) || t.Key == "" || !tagTextFits(t.Value, 128) {
			return nil, invalid("Tag")
		}
		out = setTag(out, t)
	}
	return out, nil
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
