package rpc

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func (s *nonceStore) size() (n, groups int) {
	for i := range s.shard {
		s.shard[i].mu.Lock()
		n += s.shard[i].count
		groups += len(s.shard[i].groups)
		s.shard[i].mu.Unlock()
	}
	return n, groups
}

func TestNonceIsUsedOnce(t *testing.T) {
	s := newNonceStore(1000, nil, vectorTime)
	now := vectorTime
	for i, step := range []struct {
		key, nonce string
		at         time.Duration // of the request
		now        time.Duration
		want       error
	}{
		{"a", "n", 0, 0, nil},
		{"a", "n", 0, 0, errNonceUsed},
		{"b", "n", 0, 0, nil},
		{"a", "m", 0, 0, nil},
		{"an", "", 0, 0, nil},
		{"a", "n", 10 * time.Minute, 10 * time.Minute, errNonceUsed}, // signed anew, nonce not
		{"a", "n", 0, 15 * time.Minute, errNonceUsed},
		{"a", "future", 15 * time.Minute, 0, nil},
		{"a", "future", 15 * time.Minute, 30 * time.Minute, errNonceUsed},
		{"a", "n", 32 * time.Minute, 32 * time.Minute, nil}, // long after: free again
	} {
		if err := s.use(step.key, step.nonce, now.Add(step.at), now.Add(step.now)); err != step.want {
			t.Errorf("step %d: %v, want %v", i, err, step.want)
		}
	}
}

func TestNonceMemoryIsBounded(t *testing.T) {
	const limit = 1600
	s := newNonceStore(limit, nil, vectorTime)
	now := vectorTime
	// More than fits, spread over ten minutes: the oldest go, and whoever comes
	// with so old a time is refused rather than let in twice.
	for i := range 3 * limit {
		at := now.Add(time.Duration(i) * 10 * time.Minute / (3 * limit))
		if err := s.use("k", fmt.Sprint(i), at, at); err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	later := now.Add(10 * time.Minute)
	if n, _ := s.size(); n > limit {
		t.Errorf("%d nonces held, limit %d", n, limit)
	}
	for i := range 3 * limit {
		at := now.Add(time.Duration(i) * 10 * time.Minute / (3 * limit))
		if err := s.use("k", fmt.Sprint(i), at, later); err == nil {
			t.Fatalf("call %d was accepted twice", i)
		}
	}
	if err := s.use("k", "first", now, later); err != errTimestampExpired {
		t.Errorf("a time from before the memory: %v", err)
	}
	if err := s.use("k", "fresh", later, later); err != nil {
		t.Errorf("a present call: %v", err)
	}
	// One minute that exceeds everything.
	var throttled bool
	for i := 0; i < 3*limit && !throttled; i++ {
		throttled = s.use("k", fmt.Sprint("flood", i), later, later) == errThrottled
	}
	if n, _ := s.size(); !throttled || n > limit {
		t.Errorf("throttled %v with %d held", throttled, n)
	}
	// Time heals.
	later = later.Add(17 * time.Minute)
	for i := range limit / 4 {
		if err := s.use("k", fmt.Sprint("after", i), later, later); err != nil {
			t.Fatal(err)
		}
	}
	if n, groups := s.size(); n != limit/4 || groups > nonceShards {
		t.Errorf("%d held in %d groups", n, groups)
	}
}

func TestNonceRace(t *testing.T) {
	s := newNonceStore(100000, nil, vectorTime)
	var accepted atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 500 {
				if s.use("k", fmt.Sprint(i), vectorTime, vectorTime) == nil {
					accepted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if accepted.Load() != 500 {
		t.Errorf("%d accepted of 500 nonces", accepted.Load())
	}
}

func TestNonceOfOthersCannotBeBurnt(t *testing.T) {
	h, _ := newTestHandler(t)
	good := v1Request("POST", vectorParams())
	forged := with(vectorParams(), "Signature", "AAAA")
	if a := send(t, h, rawRequest("POST", forged)); a.code != "SignatureDoesNotMatch" {
		t.Fatal(a.body)
	}
	if a := send(t, h, good); a.status != 200 {
		t.Errorf("nonce was used up by a wrong signature: %s", a.body)
	}
	if a := send(t, h, v1Request("POST", vectorParams())); a.code != "SignatureNonceUsed" {
		t.Errorf("replay: %d %s", a.status, a.code)
	}
}

func TestConcurrentCalls(t *testing.T) {
	h, _ := newTestHandler(t)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				name := fmt.Sprintf("lb-%d-%d", g, i)
				r := v1Request([]string{"GET", "POST", "FORM", "MIXED"}[i%4], with(vectorParams(), "SignatureNonce", name, "LoadBalancerId", name))
				a := send(t, h, r)
				if want := `{"LoadBalancerId":"` + name + `"`; a.status != 200 || a.body[:len(want)] != want {
					t.Errorf("%s: %s", name, a.body)
				}
			}
		})
	}
	wg.Wait()
}

func TestThrottlePerKey(t *testing.T) {
	h, _ := newTestHandler(t, func(o *Options) { o.CallsPerSecond, o.Burst = 0.0001, 3 })
	call := func(id, secret string, n int) string {
		p := with(vectorParams(), "SignatureNonce", fmt.Sprint(n), "AccessKeyId", id)
		SignV1("POST", p, secret)
		return send(t, h, rawRequest("POST", p)).code
	}
	for i, want := range []string{"", "", "", "Throttling.User"} {
		if got := call("testid", "testsecret", i); got != want {
			t.Errorf("call %d: %q", i, got)
		}
	}
	if got := call("other", "othersecret", 9); got != "" {
		t.Errorf("another key: %q", got)
	}
	call("testid", "wrong", 10)
	n := 0
	h.throttle.limiters.Range(func(any, any) bool { n++; return true })
	if n != 2 {
		t.Errorf("%d limiters for two keys", n)
	}
}
