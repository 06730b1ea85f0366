package store

import (
	"context"
	"sync"
)

// scopes are locks by name. A name costs memory only while someone holds or
// awaits it.
type scopes struct {
	mu sync.Mutex
	m  map[string]*scope
}

type scope struct {
	users int           // holder and waiters; guarded by scopes.mu
	token chan struct{} // of size one; full while held
}

// lock waits for the scope's lock or the end of ctx.
func (s *scopes) lock(ctx context.Context, name string) (unlock func(), err error) {
	s.mu.Lock()
	if s.m == nil {
		s.m = make(map[string]*scope)
	}
	sc := s.m[name]
	if sc == nil {
		sc = &scope{token: make(chan struct{}, 1)}
		s.m[name] = sc
	}
	sc.users++
	s.mu.Unlock()

	select {
	case sc.token <- struct{}{}:
		return func() {
			<-sc.token
			s.leave(name, sc)
		}, nil
	case <-ctx.Done():
		s.leave(name, sc)
		return nil, context.Cause(ctx)
	}
}

func (s *scopes) leave(name string, sc *scope) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sc.users--; sc.users == 0 {
		delete(s.m, name)
	}
}
