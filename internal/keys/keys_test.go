package keys_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/openslb/openslb/internal/keys"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
	"github.com/openslb/openslb/internal/store/memkv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, first byte) (*keys.Keys, *store.Store) {
	t.Helper()
	s, err := store.New(t.Context(), memkv.New(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return keys.New(s, sealer(t, first)), s
}

func sealer(t testing.TB, first byte) *store.Sealer {
	t.Helper()
	key := make([]byte, 32)
	key[0] = first
	seal, err := store.NewSealer(key)
	if err != nil {
		t.Fatal(err)
	}
	return seal
}

func TestLifeOfAKey(t *testing.T) {
	k, s := open(t, 1)
	ctx := t.Context()
	want := func(id, secret string, enabled bool, wantErr error) {
		t.Helper()
		for range 2 { // the second time from the cache
			got, on, err := k.Secret(ctx, id)
			if got != secret || on != enabled || !errors.Is(err, wantErr) {
				t.Fatalf("Secret(%q) = %q, %v, %v; want %q, %v, %v", id, got, on, err, secret, enabled, wantErr)
			}
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	want("testid", "", false, keys.ErrUnknown)
	record, secret, err := k.Create(ctx, "testid", "testsecret", "for tests")
	must(err)
	if secret != "testsecret" || record.ID != "testid" || !record.Enabled || record.Description != "for tests" || record.CreatedAt.IsZero() {
		t.Fatalf("created %+v with %q", record, secret)
	}
	stored, _ := s.State().AccessKeys.Get("testid")
	if strings.Contains(string(stored.SealedSecret), "testsecret") {
		t.Fatal("the secret is stored in clear")
	}
	want("testid", "testsecret", true, nil)
	if _, _, err := k.Create(ctx, "testid", "othersecret", ""); !errors.Is(err, keys.ErrExists) {
		t.Fatalf("created twice: %v", err)
	}
	must(k.SetEnabled(ctx, "testid", false))
	want("testid", "testsecret", false, nil)
	before := s.State().Revision
	must(k.SetEnabled(ctx, "testid", false))
	if s.State().Revision != before {
		t.Fatal("no change was written")
	}
	must(k.SetEnabled(ctx, "testid", true))
	want("testid", "testsecret", true, nil)
	must(k.Delete(ctx, "testid"))
	want("testid", "", false, keys.ErrUnknown)
	if err := k.Delete(ctx, "testid"); !errors.Is(err, keys.ErrUnknown) {
		t.Fatalf("deleted twice: %v", err)
	}
	if err := k.SetEnabled(ctx, "testid", true); !errors.Is(err, keys.ErrUnknown) {
		t.Fatalf("enabled after deletion: %v", err)
	}
	_, _, err = k.Create(ctx, "testid", "another-secret", "")
	must(err)
	want("testid", "another-secret", true, nil)
}

func TestGeneratedKeys(t *testing.T) {
	k, _ := open(t, 1)
	a, secretA, errA := k.Create(t.Context(), "", "", "")
	b, secretB, errB := k.Create(t.Context(), "", "", "")
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	if a.ID == b.ID || secretA == secretB || len(a.ID) != 24 || !strings.HasPrefix(a.ID, "LTAI") || len(secretA) != 30 {
		t.Fatalf("generated %s %s and %s %s", a.ID, secretA, b.ID, secretB)
	}
	list := k.List()
	if len(list) != 2 || list[0].ID > list[1].ID {
		t.Fatalf("listed %v", list)
	}
	clear(list[0].SealedSecret) // the caller's own
	for id, secret := range map[string]string{a.ID: secretA, b.ID: secretB} {
		if got, _, err := k.Secret(t.Context(), id); got != secret || err != nil {
			t.Fatalf("secret of %s is %q, %v", id, got, err)
		}
	}
}

func TestImpossibleKeys(t *testing.T) {
	k, _ := open(t, 1)
	for _, c := range []struct{ id, secret string }{
		{"a/b", "longenough"},
		{"a b", "longenough"},
		{"ä", "longenough"},
		{strings.Repeat("a", 129), "longenough"},
		{"a", "short"},
		{"a", "with a space"},
		{"a", "line\nbreak"},
		{"a", strings.Repeat("a", 129)},
	} {
		if _, _, err := k.Create(t.Context(), c.id, c.secret, ""); !errors.Is(err, keys.ErrInvalid) {
			t.Errorf("%q %q: %v", c.id, c.secret, err)
		}
	}
	for _, id := range []string{"", "/", "a/../b", strings.Repeat("x", 1<<16)} {
		if _, _, err := k.Secret(t.Context(), id); !errors.Is(err, keys.ErrUnknown) {
			t.Errorf("Secret(%.10q): %v", id, err)
		}
	}
}

// A secret is bound to its key and to the seal key.
func TestSecretsCannotBeMoved(t *testing.T) {
	k, s := open(t, 1)
	record, _, err := k.Create(t.Context(), "victim", "the-secret", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update(t.Context(), "", func(tx *store.Tx) error {
		record.ID = "thief"
		tx.AccessKeys.Put(&record)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := k.Secret(t.Context(), "thief"); !errors.Is(err, store.ErrUnsealable) {
		t.Fatalf("a moved secret: %v", err)
	}
	if _, _, err := keys.New(s, sealer(t, 2)).Secret(t.Context(), "victim"); !errors.Is(err, store.ErrWrongKey) {
		t.Fatalf("with another seal key: %v", err)
	}
}

func BenchmarkSecret(b *testing.B) {
	k, s := open(b, 1)
	for range 1000 {
		if _, _, err := k.Create(b.Context(), "", "", ""); err != nil {
			b.Fatal(err)
		}
	}
	var some *slb.AccessKey
	for _, some = range s.State().AccessKeys.All() {
		break
	}
	for name, id := range map[string]string{"known": some.ID, "unknown": "LTAI00000000000000000000"} {
		b.Run(name, func(b *testing.B) {
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := k.Secret(ctx, id); (err != nil) != (name == "unknown") {
					b.Fatal(err)
				}
			}
		})
	}
}
