package memkv_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/openslb/openslb/internal/store/kvtest"
	"github.com/openslb/openslb/internal/store/memkv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSuite(t *testing.T) {
	kvtest.Run(t, func(*testing.T) kvtest.Target {
		k := memkv.New()
		return kvtest.Target{
			KV:       k,
			Compact:  func(revision int64) error { k.Compact(revision); return nil },
			MaxOps:   memkv.MaxTxnOps,
			MaxBytes: memkv.MaxTxnBytes,
		}
	})
}
