// Package transparent lets servers see the addresses of clients on connections
// that the node makes: its sockets towards servers are bound to the address and
// port of the client (IP_TRANSPARENT), and what servers answer to those is taken
// in by the node instead of being passed on.
//
// For the second half the host needs three things, which Setup makes and Close
// takes back: an nftables table that marks packets which belong to such a
// socket, a rule that sends marked packets to a routing table, and in that
// table a route that delivers everything to this host. The servers have to send
// what is meant for clients by way of the node; that is for the operator.
package transparent

import (
	"fmt"
	"log/slog"
	"net/netip"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// Source decides with which address the node connects to servers. The methods
// other than Close are safe for concurrent use, also on a nil Source, which
// always decides for the node's own.
type Source struct {
	facts spec.SourceFacts
	host  *host // nil: proxy mode
	local *localAddresses
}

// Setup prepares the host for the mode that is asked for; empty is
// spec.SourceProxy. Where transparent mode is not possible, spec.SourceAuto
// becomes proxy mode and spec.SourceTransparent an error that says what to do.
// Whatever a node left behind that was killed is replaced.
func Setup(asked spec.SourceMode, log *slog.Logger) (*Source, error) {
	s := &Source{facts: spec.SourceFacts{Asked: asked, InForce: spec.SourceProxy, Reason: "asked for"}}
	switch asked {
	case "":
		s.facts.Asked, s.facts.Reason = spec.SourceProxy, "the default"
	case spec.SourceProxy:
	case spec.SourceTransparent, spec.SourceAuto:
		err := s.begin(log)
		if err != nil && asked == spec.SourceTransparent {
			return nil, err
		}
		if err != nil {
			s.facts.Reason = err.Error()
		} else {
			s.facts.InForce = spec.SourceTransparent
			if asked == spec.SourceAuto {
				s.facts.Reason = "the node has the rights"
			}
			if !s.host.ipv6 {
				s.facts.Reason += "; for IPv4 only, as the host has no IPv6"
			}
		}
	default:
		return nil, fmt.Errorf("source mode %q: it is one of %s, %s and %s", asked, spec.SourceProxy, spec.SourceTransparent, spec.SourceAuto)
	}
	text := "servers of TCP and UDP listeners see the node's address"
	if s.host != nil {
		text = "servers of TCP and UDP listeners see the addresses of clients; their routes to clients must lead through this node"
	}
	log.Info(text, "source_mode", string(s.facts.InForce), "asked", string(s.facts.Asked), "reason", s.facts.Reason)
	return s, nil
}

func (s *Source) begin(log *slog.Logger) error {
	host, err := prepare()
	if err != nil {
		return err
	}
	local, err := watchLocal(log)
	if err != nil {
		host.close()
		return fmt.Errorf("watch the addresses of this host: %w", err)
	}
	s.host, s.local = host, local
	return nil
}

// Facts tells the mode in force.
func (s *Source) Facts() spec.SourceFacts {
	if s == nil {
		return spec.SourceFacts{Asked: spec.SourceProxy, InForce: spec.SourceProxy, Reason: "the default"}
	}
	return s.facts
}

// Covers reports whether a connection from client to server is made with the
// client's address. It is not where that cannot work: between families, with
// addresses of one link, and where the client or the server is this host, whose
// packets to itself do not pass the marks. It does not allocate.
func (s *Source) Covers(client, server netip.Addr) bool {
	if s == nil || s.host == nil {
		return false
	}
	client, server = client.Unmap(), server.Unmap()
	if client.Is4() != server.Is4() || client.Is6() && !s.host.ipv6 {
		return false
	}
	return !s.local.has(client) && !s.local.has(server) &&
		!client.IsLinkLocalUnicast() && !client.IsLinkLocalMulticast() && !server.IsLinkLocalUnicast()
}

// Close takes back what Setup made. Connections that use it must have ended.
func (s *Source) Close() error {
	if s == nil || s.host == nil {
		return nil
	}
	s.local.close()
	return s.host.close()
}
