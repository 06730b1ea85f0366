package rpc

import (
	"context"
	"net/netip"
)

// Caller is who made the call that a context belongs to. Signature and key were
// right when an action sees it.
type Caller struct {
	AccessKeyID string
	RequestID   string // upper-case UUID
	Action      string
	RegionID    string // parameter RegionId as sent, possibly empty
	Remote      netip.AddrPort
}

type callerKey struct{}

// CallerFrom returns the caller of the call that ctx belongs to, or the zero
// Caller outside of one.
func CallerFrom(ctx context.Context) Caller {
	if c, ok := ctx.Value(callerKey{}).(*Caller); ok {
		return *c
	}
	return Caller{}
}

// WithCaller returns a context in which CallerFrom finds c. It is for code that
// runs an action without a request, such as tests.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, &c)
}
