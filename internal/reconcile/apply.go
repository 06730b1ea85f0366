package reconcile

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openslb/openslb/internal/dataplane"
	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/plan"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

const (
	// parallel is how many load balancers are applied at once. One that takes its
	// time, because requests on it finish, then does not hold up the others.
	parallel = 8
	// The waits between two tries: twice as long each time, up to the greatest.
	firstRetry    = 100 * time.Millisecond
	greatestRetry = 10 * time.Second
)

// sync applies the whole state.
func (r *Reconciler) sync(ctx context.Context, s *slb.State) {
	errs := make(map[string]error)
	collect(r.engine.Sync(ctx, plan.Compile(s)), errs)
	if ctx.Err() != nil {
		return // what failed, failed for that
	}
	for id := range r.failed {
		if errs[id] == nil {
			r.settled(id)
		}
	}
	for id, err := range errs {
		r.fail(id, err)
	}
}

// collect sorts an error of the engine by load balancer.
func collect(err error, into map[string]error) {
	if err == nil {
		return
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			collect(e, into)
		}
		return
	}
	var one *dataplane.InstanceError
	if errors.As(err, &one) {
		into[one.ID] = errors.Join(into[one.ID], one.Err)
	}
}

// affected returns the load balancers that the changes touch, each once.
func affected(s *slb.State, changes []store.Change) []slb.LoadBalancerID {
	if len(changes) == 1 {
		return plan.Affected(s, changes[0].Kind, changes[0].Key)
	}
	var out []slb.LoadBalancerID
	seen := make(map[slb.LoadBalancerID]struct{})
	for _, c := range changes {
		for _, id := range plan.Affected(s, c.Kind, c.Key) {
			if _, ok := seen[id]; !ok {
				seen[id] = struct{}{}
				out = append(out, id)
			}
		}
	}
	return out
}

// apply plans and applies these load balancers.
func (r *Reconciler) apply(ctx context.Context, s *slb.State, ids []slb.LoadBalancerID) {
	switch len(ids) {
	case 0:
		return
	case 1:
		id := string(ids[0])
		r.note(ctx, id, r.engine.Apply(ctx, id, plan.Instance(s, ids[0])))
		return
	}
	// Those that go make room first: their addresses may be wanted by others.
	insts := make([]*spec.Instance, len(ids))
	errs := make([]error, len(ids))
	for i, id := range ids {
		insts[i] = plan.Instance(s, id)
	}
	for _, going := range []bool{true, false} {
		var group errgroup.Group
		group.SetLimit(parallel)
		for i, id := range ids {
			if (insts[i] == nil) == going {
				group.Go(func() error {
					errs[i] = r.engine.Apply(ctx, string(id), insts[i])
					return nil
				})
			}
		}
		_ = group.Wait() // errors are kept one by one
	}
	for i, id := range ids {
		r.note(ctx, string(id), errs[i])
	}
}

// note keeps the books of one outcome.
func (r *Reconciler) note(ctx context.Context, id string, err error) {
	switch {
	case err == nil:
		r.settled(id)
	case ctx.Err() == nil:
		var one *dataplane.InstanceError
		if errors.As(err, &one) {
			err = one.Err
		}
		r.fail(id, err)
	}
}

// fail sets the time of the next try and logs what is new.
func (r *Reconciler) fail(id string, err error) {
	f := r.failed[id]
	if f == nil {
		f = &failure{}
		r.failed[id] = f
	}
	wait := f.next(time.Now())
	if text := err.Error(); f.text != text {
		f.text = text
		r.log.Error("load balancer could not be applied as a whole; trying again", "load_balancer", id, "err", err, "in", wait.Round(time.Millisecond).String())
	}
}

func (r *Reconciler) settled(id string) {
	if f := r.failed[id]; f != nil {
		delete(r.failed, id)
		r.log.Info("load balancer applied at last", "load_balancer", id, "tries", f.tries)
	}
}

// failures are the load balancers to be tried again.
type failures map[string]*failure

type failure struct {
	tries int
	again time.Time
	text  string // as logged
}

// next counts a try and sets the time of the following one: the wait doubles up
// to its limit, and half of it is random, so that what failed together is not
// tried together for ever.
func (f *failure) next(now time.Time) time.Duration {
	wait := greatestRetry
	if f.tries < 10 {
		wait = min(firstRetry<<f.tries, greatestRetry)
	}
	wait = wait/2 + rand.N(wait/2)
	f.tries++
	f.again = now.Add(wait)
	return wait
}

// first is the time of the next try, or limit if that is earlier.
func (f failures) first(limit time.Time) time.Time {
	for _, one := range f {
		if one.again.Before(limit) {
			limit = one.again
		}
	}
	return limit
}

// due returns the failures whose time has come, the longest waiting first.
func (f failures) due(now time.Time) []slb.LoadBalancerID {
	var out []slb.LoadBalancerID
	for id, one := range f {
		if !one.again.After(now) {
			out = append(out, slb.LoadBalancerID(id))
		}
	}
	slices.SortFunc(out, func(a, b slb.LoadBalancerID) int {
		return cmp.Or(f[string(a)].again.Compare(f[string(b)].again), cmp.Compare(a, b))
	})
	return out
}
