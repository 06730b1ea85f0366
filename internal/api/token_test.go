package api

import (
	"encoding/base64"
	"slices"
	"testing"
)

// TestTokenOfNoPage: what no page of a list has given is refused, by every list
// that goes on by token, since an empty page would look like the end.
func TestTokenOfNoPage(t *testing.T) {
	w := newWorld(t)
	lb := withListeners(w)
	w.servers(3)
	w.policy("one")
	w.policy("two")
	for range taggedPage + 1 {
		w.create("Tag.1.Key", "k")
	}
	const region = "cn-hangzhou"
	lists := []struct {
		action string
		params params
		token  string
	}{
		{"ListTagResources", params{"RegionId", region, "ResourceType", "instance"}, ""},
		{"DescribeLoadBalancerListeners", params{"LoadBalancerId.1", lb, "MaxResults", "1"}, ""},
		{"ListTLSCipherPolicies", params{"RegionId", region, "MaxItems", "1"}, ""},
		{"DescribeInstances", params{"MaxResults", "1"}, ""},
	}
	for i := range lists {
		l := &lists[i]
		l.token = w.ok(l.action, l.params...).text(t, "NextToken")
		w.ok(l.action, append(slices.Clone(l.params), "NextToken", l.token)...)
	}
	refused := func(action string, p params, token string) {
		t.Helper()
		w.fails(invalidError("NextToken"), action, append(slices.Clone(p), "NextToken", token)...)
	}
	for i, l := range lists {
		b, err := base64.RawURLEncoding.DecodeString(l.token)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)-1]++
		for _, token := range []string{"0", "2", "!", "made-up", lb, l.token + "A", l.token[:len(l.token)-1], l.token[1:], l.token[:4],
			base64.RawURLEncoding.EncodeToString([]byte("zzz")), base64.RawURLEncoding.EncodeToString(b), lists[(i+1)%len(lists)].token} {
			refused(l.action, l.params, token)
		}
	}
	refused("ListTagResources", params{"RegionId", region, "ResourceType", "acl"}, lists[0].token)
}

// FuzzReadToken: whatever is taken for a token is one that was written.
func FuzzReadToken(f *testing.F) {
	f.Add("list", "")
	f.Add("list", writeToken("list", "lb-1"))
	f.Add("list", writeToken("other", "lb-1"))
	f.Fuzz(func(t *testing.T, list, token string) {
		if last, err := readToken(list, token); err == nil && token != "" && writeToken(list, last) != token {
			t.Errorf("%q of %q is taken for %q", token, list, last)
		}
	})
}
