package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/client"
	"github.com/openslb/openslb/internal/testutil"
)

// TestLostSealKey: a node whose secrets cannot be opened does not look well, the
// right file heals it, and the development key is the way out without the file.
func TestLostSealKey(t *testing.T) {
	testutil.NoLeaks(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "seal.key")
	stop(t, start(t, Config{Data: dir}))
	right, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}

	for _, why := range []string{"made anew", "still there from the failed start"} {
		if why == "made anew" {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
		n, err := tryStart(t, Config{Data: dir})
		if err == nil {
			stop(t, n)
			t.Fatalf("the node starts with a seal key that was %s", why)
		}
		if !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "--seal-key-file") {
			t.Errorf("seal key %s: the error does not say what to do: %v", why, err)
		}
	}

	dev := start(t, Config{Data: dir, Dev: true})
	c := clientOf(dev)
	c.KeyID, c.Secret, c.Version = DevKeyID, DevKeySecret, "2026-11-01"
	var made struct {
		AccessKey struct{ AccessKeyId, AccessKeySecret string }
	}
	if err := c.Do(t.Context(), "CreateAccessKey", nil, &made); err != nil {
		t.Fatal(err)
	}
	stop(t, dev)
	mixed := start(t, Config{Data: dir})
	c = &client.Client{Endpoint: mixed.Endpoint(), KeyID: made.AccessKey.AccessKeyId, Secret: made.AccessKey.AccessKeySecret}
	if err := c.Do(t.Context(), "DescribeRegions", nil, nil); err != nil {
		t.Errorf("with a key that was made anew: %v", err)
	}
	stop(t, mixed)

	if err := os.WriteFile(file, right, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := clientOf(start(t, Config{Data: dir})).Do(t.Context(), "DescribeRegions", nil, nil); err != nil {
		t.Errorf("with the right file back: %v", err)
	}
}
