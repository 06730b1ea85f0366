package rpc

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// throttle bounds the calls of each access key. It holds one limiter per key
// that has made a rightly signed call, so that strangers cannot fill it.
type throttle struct {
	perSecond rate.Limit // 0: no bound
	burst     int
	limiters  sync.Map // key id -> *rate.Limiter
}

func (t *throttle) allow(keyID string, now time.Time) bool {
	if t.perSecond <= 0 {
		return true
	}
	l, ok := t.limiters.Load(keyID)
	if !ok {
		l, _ = t.limiters.LoadOrStore(keyID, rate.NewLimiter(t.perSecond, t.burst))
	}
	return l.(*rate.Limiter).AllowN(now, 1)
}
