package health

import (
	"context"
	"net"
	"net/netip"
)

// tcpChecker is well when a connection opens. It ends by a reset, as the vendor
// documents: the server's application sees no orderly close, and neither side
// keeps the connection's remains.
type tcpChecker struct{ dial dialFunc }

// Check opens a connection and drops it.
func (c tcpChecker) Check(ctx context.Context, target netip.AddrPort) error {
	conn, err := c.dial(ctx, "tcp", target)
	if err != nil {
		return explain(ctx, "connect", err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // at worst the close is an orderly one
	}
	return conn.Close()
}
