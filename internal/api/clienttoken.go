package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

// sweepInterval is how often a creation looks for expired tokens, unless the
// one before has left some behind.
const sweepInterval = 10 * time.Minute

// answerOfToken returns the answer that the call's token was given before, nil
// when the token is new or too old, and an error when the parameters differ.
func (s *Server) answerOfToken(tx *store.Tx, p *createLoadBalancerParams) (*createLoadBalancerResult, error) {
	if p.ClientToken == "" {
		return nil, nil
	}
	t, ok := tx.ClientTokens.Get(p.ClientToken)
	if !ok || s.expired(t) {
		return nil, nil
	}
	if t.ParamsHash != paramsHash(p) {
		return nil, slb.ErrTokenConflict
	}
	r := &createLoadBalancerResult{}
	if err := json.Unmarshal(t.Answer, r); err != nil {
		return nil, fmt.Errorf("answer kept for client token %q: %w", t.Token, err)
	}
	return r, nil
}

func (s *Server) rememberToken(tx *store.Tx, p *createLoadBalancerParams, lb *slb.LoadBalancer, r *createLoadBalancerResult) error {
	if p.ClientToken == "" {
		return nil
	}
	answer, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("keep the answer for client token %q: %w", p.ClientToken, err)
	}
	tx.ClientTokens.Put(&slb.ClientToken{
		Token:          p.ClientToken,
		ParamsHash:     paramsHash(p),
		LoadBalancerID: lb.ID,
		Answer:         answer,
		CreatedAt:      s.now(),
	})
	return nil
}

func (s *Server) expired(t *slb.ClientToken) bool {
	return s.cfg.Now().Sub(t.CreatedAt) >= slb.ClientTokenLifetime
}

// paramsHash tells calls with different parameters apart. The token itself is
// no part of it, nor is anything that differs from try to try.
func paramsHash(p *createLoadBalancerParams) string {
	own := *p
	own.ClientToken = ""
	text, err := json.Marshal(&own)
	if err != nil {
		panic("api: parameters of CreateLoadBalancer have no JSON form: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// sweepClientTokens deletes some expired tokens now and then, as a part of a
// creation, which is what leaves tokens behind. The time of the last sweep is
// set even if the transaction fails or runs again: it is a hint, and the worst
// that comes of it is a later sweep.
func (s *Server) sweepClientTokens(tx *store.Tx) {
	limit := s.cfg.Quotas.ClientTokenSweepPerRun
	now := s.cfg.Now().Unix()
	if limit <= 0 || now-s.lastSweep.Load() < int64(sweepInterval/time.Second) {
		return
	}
	for key, t := range tx.State().ClientTokens.All() {
		if !s.expired(t) {
			continue
		}
		if limit--; limit < 0 {
			return // the next creation goes on
		}
		tx.ClientTokens.Delete(key)
	}
	s.lastSweep.Store(now)
}
