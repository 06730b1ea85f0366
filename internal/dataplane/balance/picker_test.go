package balance

import (
	"math"
	"net/netip"
	"slices"
	"testing"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// Short samples must look like the weights already: nginx's published example
// of smooth order is a a b a c a a for weights 5, 1 and 1.
func TestSmoothOrder(t *testing.T) {
	for _, c := range []struct {
		weights []int
		want    []uint32
	}{
		{[]int{1, 1}, []uint32{0, 1}},
		{[]int{100, 100, 100}, []uint32{0, 1, 2}},
		{[]int{50, 10, 10}, []uint32{0, 1, 0, 0, 0, 2, 0}},
		{[]int{10, 90}, []uint32{1, 1, 1, 1, 0, 1, 1, 1, 1, 1}},
		{[]int{4, 2, 2}, []uint32{0, 1, 0, 2}},
	} {
		got := smooth(c.weights)
		if len(got) != len(c.want) {
			t.Errorf("smooth(%v) = %v", c.weights, got)
			continue
		}
		// Where in the cycle it starts is of no matter.
		ok := false
		for range got {
			got = append(got[1:], got[0])
			ok = ok || slices.Equal(got, c.want)
		}
		if !ok {
			t.Errorf("smooth(%v) = %v, want a rotation of %v", c.weights, got, c.want)
		}
	}
}

// Every stretch of a smooth sequence holds each target about as often as its
// weight says: never off by as much as two.
func TestSmoothStretches(t *testing.T) {
	weights := []int{10, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 7}
	sequence := smooth(weights)
	for start := range sequence {
		got := make([]int, len(weights))
		for n := range sequence {
			got[sequence[(start+n)%len(sequence)]]++
			for i, w := range weights {
				want := float64(w) * float64(n+1) / float64(len(sequence))
				if math.Abs(float64(got[i])-want) >= 2 {
					t.Fatalf("%d picks from %d: target %d was taken %d times, want %.1f", n+1, start, i, got[i], want)
				}
			}
		}
	}
}

func TestSmoothIsBounded(t *testing.T) {
	weights := make([]int, 3000)
	for i := range weights {
		weights[i] = 1 + i%100
	}
	sequence := smooth(weights)
	if len(sequence) > 2*maxSequence {
		t.Errorf("sequence of %d", len(sequence))
	}
	seen := make([]bool, len(weights))
	for _, i := range sequence {
		seen[i] = true
	}
	if i := slices.Index(seen, false); i >= 0 {
		t.Errorf("target %d of weight %d lost its turns", i, weights[i])
	}
}

// New pickers must not all start at the same target.
func TestStartVaries(t *testing.T) {
	for _, s := range []spec.Scheduler{spec.WRR, spec.RR, spec.WLC} {
		first := make([]int, 4)
		for range 400 {
			first[New(s, []int{1, 1, 1, 1}, names(4), idle).Pick(0)]++
		}
		for i, n := range first {
			if n < 40 {
				t.Errorf("%s: %d of 400 pickers began with target %d", s, n, i)
			}
		}
	}
}

func TestLeastConnections(t *testing.T) {
	for _, c := range []struct {
		name    string
		weights []int
		load    []int64
		want    []int // any of these
	}{
		{"fewest", []int{1, 1, 1}, []int64{3, 1, 2}, []int{1}},
		{"fewest for the weight", []int{10, 1}, []int64{9, 1}, []int{0}},
		{"weight used up", []int{10, 1}, []int64{11, 1}, []int{1}},
		{"idle beats weight", []int{100, 1}, []int64{1, 0}, []int{1}},
		{"ties", []int{2, 1, 1}, []int64{2, 1, 5}, []int{0, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newWLC(c.weights, func(i int) int64 { return c.load[i] })
			seen := map[int]bool{}
			for range 100 {
				got := p.Pick(0)
				seen[got] = true
				if !slices.Contains(c.want, got) {
					t.Fatalf("picked %d, want one of %v", got, c.want)
				}
			}
			if len(seen) != len(c.want) {
				t.Errorf("picked %v only, want all of %v", seen, c.want)
			}
		})
	}
}

// With connections that stay, the counts settle at the weights.
func TestLeastConnectionsHeld(t *testing.T) {
	weights := []int{100, 50, 10}
	active := make([]int64, len(weights))
	p := newWLC(weights, func(i int) int64 { return active[i] })
	for range 1600 {
		active[p.Pick(0)]++
	}
	for i, w := range weights {
		if want := int64(w) * 10; active[i] < want-10 || active[i] > want+10 {
			t.Errorf("target of weight %d holds %d, want about %d", w, active[i], want)
		}
	}
}

// moved tells how many of the keys that stay possible changed their target.
func moved(t *testing.T, from, to *maglev, keep func(int) (int, bool)) float64 {
	t.Helper()
	const keys = 100_000
	n, stay := 0, 0
	for k := range keys {
		was, is := from.Pick(key(k)), to.Pick(key(k))
		now, ok := keep(was)
		if !ok {
			continue
		}
		stay++
		if now != is {
			n++
		}
	}
	return float64(n) / float64(stay)
}

func TestHashMovesFewKeys(t *testing.T) {
	same := func(i int) (int, bool) { return i, true }
	even := slices.Repeat([]int{100}, 10)
	ids := names(10)
	before := newMaglev(even, ids)

	without := newMaglev(even[:9], slices.Delete(slices.Clone(ids), 4, 5))
	got := moved(t, before, without, func(i int) (int, bool) {
		if i > 4 {
			return i - 1, true
		}
		return i, i != 4
	})
	if got > 0.05 {
		t.Errorf("losing one of ten moved %.1f%% of the others' keys", 100*got)
	}

	lighter := slices.Clone(even)
	lighter[4] = 50
	// A twentieth of the keys must move.
	if got := moved(t, before, newMaglev(lighter, ids), same); got > 0.12 {
		t.Errorf("halving one weight of ten moved %.1f%% of all keys", 100*got)
	}

	more := newMaglev(slices.Repeat([]int{100}, 11), names(11))
	if got := moved(t, before, more, same); got > 0.16 {
		t.Errorf("one more than ten moved %.1f%% of all keys", 100*got)
	}
}

func TestHashIgnoresOrderAndScale(t *testing.T) {
	ids := names(5)
	weights := []int{10, 20, 30, 40, 50}
	a := newMaglev(weights, ids)
	backIDs, backWeights := slices.Clone(ids), []int{20, 40, 60, 80, 100}
	slices.Reverse(backIDs)
	slices.Reverse(backWeights)
	b := newMaglev(backWeights, backIDs)
	for k := range 10_000 {
		if x, y := ids[a.Pick(key(k))], backIDs[b.Pick(key(k))]; x != y {
			t.Fatalf("key %d: %s in one order, %s in the other", k, x, y)
		}
	}
}

func TestLargeTable(t *testing.T) {
	for n, want := range map[int]int{2: smallTable, 100: smallTable, 101: largeTable} {
		if got := len(newMaglev(slices.Repeat([]int{1}, n), names(n)).table); got != want {
			t.Errorf("%d targets: table of %d, want %d", n, got, want)
		}
	}
}

// The vectors of this file bind every node and the kernel fast path.
func TestHashVectors(t *testing.T) {
	for _, c := range []struct {
		src  string
		want uint64
	}{
		{"192.0.2.1", 0xc838411ad05f3405},
		{"2001:db8::1", 0xfd26d1dd9984a4cf},
	} {
		if got := HashSource(netip.MustParseAddr(c.src)); got != c.want {
			t.Errorf("HashSource(%s) = %#x, want %#x", c.src, got, c.want)
		}
	}
	if a, b := HashSource(netip.MustParseAddr("192.0.2.1")), HashSource(netip.MustParseAddr("::ffff:192.0.2.1")); a != b {
		t.Error("an IPv4 address and its mapped form differ")
	}
	for _, c := range []struct {
		src, dst string
		want     uint64
	}{
		{"192.0.2.1:1234", "198.51.100.7:80", 0xfadfab8360a71349},
		{"[2001:db8::1]:1234", "[2001:db8::2]:443", 0xa4279cd5ee8dde4c},
	} {
		if got := HashFlow(netip.MustParseAddrPort(c.src), netip.MustParseAddrPort(c.dst)); got != c.want {
			t.Errorf("HashFlow(%s, %s) = %#x, want %#x", c.src, c.dst, got, c.want)
		}
	}
	p := newMaglev([]int{100, 50, 25}, []string{"a", "b", "c"})
	got := make([]byte, 24)
	for i := range got {
		got[i] = "abc"[p.table[i*smallTable/len(got)]]
	}
	if want := "abcaaabbcaaabacaaaabaaaa"; string(got) != want {
		t.Errorf("table of a, b, c reads %s, want %s", got, want)
	}
}

// Hash keys of neighbouring clients must spread over the slots.
func TestHashSpreads(t *testing.T) {
	const slots = 64
	var source, flow [slots]int
	dst := netip.MustParseAddrPort("198.51.100.7:80")
	base := netip.MustParseAddr("10.0.0.0").As4()
	for n := range 64_000 {
		base[2], base[3] = byte(n>>8), byte(n)
		a := netip.AddrFrom4(base)
		source[slot(HashSource(a), slots)]++
		flow[slot(HashFlow(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, 1}), uint16(n)), dst), slots)]++
	}
	for i := range slots {
		if source[i] < 850 || source[i] > 1150 || flow[i] < 850 || flow[i] > 1150 {
			t.Errorf("slot %d: %d sources, %d flows, want about 1000", i, source[i], flow[i])
		}
	}
}
