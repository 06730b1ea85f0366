// Package health probes targets and decides whether they are well.
//
// A Checker makes one probe. The Runner owns when probes are made and what
// their results amount to: intervals, thresholds, spreading, and one probe for
// all who ask for the same.
package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// Checker makes probes of one kind with fixed settings. It is safe for
// concurrent use.
type Checker interface {
	// Check probes the target once and returns nil when it is well. ctx carries
	// the probe's timeout; Check returns soon after it ends.
	Check(ctx context.Context, target netip.AddrPort) error
}

// checkers is the table of kinds. Every spec.CheckKind has a row.
var checkers = map[spec.CheckKind]func(spec.Check, dialFunc) (Checker, error){
	spec.CheckTCP:  func(_ spec.Check, dial dialFunc) (Checker, error) { return tcpChecker{dial}, nil },
	spec.CheckHTTP: newHTTPChecker,
	spec.CheckUDP:  func(c spec.Check, dial dialFunc) (Checker, error) { return udpChecker{c.Request, c.Expect, dial}, nil },
}

// Known reports whether there is a checker of the kind.
func Known(k spec.CheckKind) bool { return checkers[k] != nil }

// NewChecker returns the checker for these settings. It refuses an unknown kind
// and settings that cannot be sent. Probes come from the source of their family,
// or from an address of the system's choice if there is none.
func NewChecker(c spec.Check, sources ...netip.Addr) (Checker, error) {
	build := checkers[c.Kind]
	if build == nil {
		return nil, fmt.Errorf("health: no check of kind %q", c.Kind)
	}
	return build(c, dialFrom(sources))
}

// isLocal reports whether a probe failed for want of something on this host.
// Such a failure says nothing about the target: a node that runs out of
// descriptors must not declare every server dead.
func isLocal(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// explain turns a failure into its cause for the log.
func explain(ctx context.Context, doing string, err error) error {
	var timeout net.Error
	if ctx.Err() != nil || errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("%s: no answer in time", doing)
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return fmt.Errorf("%s: %w", doing, errno)
	}
	return fmt.Errorf("%s: %w", doing, err)
}
