package etcdkv

import (
	"log/slog"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/store/kvtest"
)

func open(t testing.TB, change func(*Config)) *KV {
	t.Helper()
	cfg := Config{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), ProgressInterval: 50 * time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	k, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

func target(t testing.TB, k *KV) kvtest.Target {
	return kvtest.Target{
		KV:       k,
		Compact:  func(revision int64) error { _, err := k.client.Compact(t.Context(), revision); return err },
		MaxOps:   MaxTxnOps,
		MaxBytes: MaxTxnBytes,
	}
}

func TestSuite(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) kvtest.Target { return target(t, open(t, nil)) })
}

// The same through a socket, as with a cluster elsewhere.
func TestSuiteDialled(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) kvtest.Target {
		server := open(t, nil)
		k, err := Dial(t.Context(), DialConfig{Endpoints: []string{"unix://" + server.node.socket()}, ProgressInterval: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		return target(t, k)
	})
}
