package h1

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// slowLookup is what lookup says, by comparing with every name.
func slowLookup(name []byte) ID {
	for i := range known {
		k := &known[i]
		switch {
		case equalFold(name, k.name):
			return k.id
		case equalDash(name, k.name):
			return k.dashed
		}
	}
	return Other
}

func TestLookup(t *testing.T) {
	for name, want := range map[string]ID{
		"Host": Host, "TE": TE, "via": Protected, "HOST": Host, "hosts": Other, "ost": Other, "x": Other, "": Other,
		"Content-Length": ContentLength, "content_length": Mistakable, "Transfer_Encoding": Mistakable,
		"slb_id": SLBID, "X-Forwarded_For": XForwardedFor, "x_forwarded_client-SrcPort": XForwardedClientSrcPort,
		"x_forwarded_host": Other, "set_cookie": Other, "X-Forwarded-Host": Protected,
		"proxy-authXrization": Other, "User-Agent": Other, strings.Repeat("_", 200): Other,
	} {
		if got := lookup([]byte(name)); got != want {
			t.Errorf("lookup of %q: %d, want %d", name, got, want)
		}
	}
	const letters = "ABCXYZabcxyz019!#$%&'*+-.^_`|~"
	random := rand.New(rand.NewPCG(1, 2))
	check := func(name []byte) {
		if got, want := lookup(name), slowLookup(name); got != want {
			t.Fatalf("lookup of %q: %d, want %d", name, got, want)
		}
	}
	for i := range known {
		name := []byte(known[i].name)
		check(name)
		check(bytes.ToUpper(name))
		check(bytes.ReplaceAll(name, []byte("-"), []byte("_")))
		check(name[1:])
		check(append(bytes.Clone(name), 'x'))
		for at := range name {
			for _, c := range []byte(letters) {
				other := bytes.Clone(name)
				other[at] = c
				check(other)
			}
		}
	}
	for range 100_000 {
		name := make([]byte, random.IntN(30))
		for i := range name {
			name[i] = letters[random.IntN(len(letters))]
		}
		check(name)
	}
}
