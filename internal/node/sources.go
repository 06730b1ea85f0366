package node

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/dataplane/transparent"
)

// setUpSources decides which addresses servers see, and prepares the host for
// that.
func (n *Node) setUpSources(context.Context) (err error) {
	if err := checkProbeSources(n.cfg.ProbeSources); err != nil {
		return err
	}
	n.source, err = transparent.Setup(spec.SourceMode(n.cfg.SourceMode), n.log.With("part", "sources"))
	if err != nil {
		return err
	}
	n.onStop("source addresses", func(context.Context) error { return n.source.Close() })
	return nil
}

// checkProbeSources wants addresses of this host: with others every probe would
// fail in silence.
func checkProbeSources(sources []netip.Addr) error {
	for _, a := range sources {
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
		if err != nil {
			return fmt.Errorf("probe source %s cannot be used: %w; give an address of this host, as ip address shows them, with --probe-source", a, err)
		}
		c.Close()
	}
	return nil
}
