package health

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// tcpChecker is well when a connection opens. It ends by a reset, as the vendor
// documents: the server's application sees no orderly close, and neither side
// keeps the connection's remains.
type tcpChecker struct{ dial dialFunc }

// Check opens a connection and drops it.
func (c tcpChecker) Check(ctx context.Context, target netip.AddrPort) error {
	conn, err := c.dial(ctx, "tcp", target)
	switch {
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		// Refused it would be before the hand-shake. This was open, and ended by the
		// server before we looked.
		return nil
	case err != nil:
		return explain(ctx, "connect", err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // at worst the close is an orderly one
	}
	return conn.Close()
}
