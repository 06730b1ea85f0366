package health

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"
)

// udpChecker sends one datagram. Without an expected answer the target is well
// unless its host says that the port is closed (ICMP port unreachable) before
// the time is up; a host that sends no such messages always looks well. With
// one, exactly that answer must come. Source: the vendor's health check overview.
type udpChecker struct {
	request, expect string
	dial            dialFunc
}

// Check sends the request and waits.
func (u udpChecker) Check(ctx context.Context, target netip.AddrPort) error {
	conn, err := u.dial(ctx, "udp", target)
	if err != nil {
		return explain(ctx, "open", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	if _, err := conn.Write([]byte(u.request)); err != nil {
		return explain(ctx, "send", err)
	}
	buf := make([]byte, 2048)
	n, err := conn.Read(buf)
	switch {
	case err == nil && u.expect == "":
		return nil
	case err == nil && string(buf[:n]) == u.expect:
		return nil
	case err == nil:
		return fmt.Errorf("answer %q is not the expected one", clip(string(buf[:n])))
	case u.expect == "" && errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(ctx.Err(), context.Canceled):
		return nil
	}
	return explain(ctx, "receive", err)
}
