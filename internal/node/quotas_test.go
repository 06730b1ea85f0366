package node

import (
	"errors"
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/client"
)

func TestQuotas(t *testing.T) {
	n := start(t, Config{Data: t.TempDir(), Quotas: map[string]int{"slbs-per-user": 2}})
	c := clientOf(n)
	create := func() error {
		return c.Do(t.Context(), "CreateLoadBalancer", map[string]string{"RegionId": "cn-hangzhou"}, nil)
	}
	for range 2 {
		if err := create(); err != nil {
			t.Fatal(err)
		}
	}
	if e, ok := errors.AsType[*client.Error](create()); !ok || e.Code != "OverQuota" {
		t.Errorf("beyond the quota: %v", e)
	}
	if _, err := tryStart(t, Config{Data: t.TempDir(), Quotas: map[string]int{"slbs": 2}}); err == nil || !strings.Contains(err.Error(), "slbs-per-user") {
		t.Errorf("unknown quota: %v", err)
	}
}
