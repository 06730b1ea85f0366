package rpc

import (
	"maps"
	"testing"
)

// TestTold: observers learn what they asked for, and nothing beside it.
func TestTold(t *testing.T) {
	all := form{{"AccessKeyId", "k"}, {"LoadBalancerId", "lb-1"}, {"PrivateKey", "secret"}, {"ResourceId.1", "a"}, {"ResourceId.2", "b"}, {"ResourceIdx", "c"}}
	h := &Handler{opts: Options{Tell: []string{"LoadBalancerId", "ResourceId"}}}
	if got, want := h.told(all), map[string]string{"LoadBalancerId": "lb-1", "ResourceId.1": "a", "ResourceId.2": "b"}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := (&Handler{}).told(all); got != nil {
		t.Errorf("nobody asked for %v", got)
	}
}
