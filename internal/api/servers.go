package api

import (
	"context"
	"net/netip"
	"slices"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

// serverActions are the register of servers, for which the vendor has no API: in
// the cloud it is the list of virtual machines.
func (s *Server) serverActions() []rpc.Action {
	return []rpc.Action{
		rpc.NewAction("RegisterServer", s.registerServer),
		rpc.NewAction("ModifyServer", s.modifyServer),
		rpc.NewAction("SetServerStatus", s.setServerStatus),
		rpc.NewAction("DeregisterServer", s.deregisterServer),
		rpc.NewAction("DescribeServers", s.describeServers),
	}
}

// serverScope serialises changes of one server in this process.
func serverScope(id slb.ServerID) string { return "server/" + string(id) }

// serverNameParam names one server. An id has 1 to 128 letters, digits and
// . _ : - with a letter or digit first.
type serverNameParam struct {
	ServerID slb.ServerID `param:"ServerId,required"`
}

// Validate refuses ids that no server can have.
func (p *serverNameParam) Validate() error {
	if !p.ServerID.Valid() {
		return invalid("ServerId", string(p.ServerID), "1 to 128 letters, digits and '.', '_', ':', '-', a letter or digit first")
	}
	return nil
}

// serverSettings are what can be told about a server.
type serverSettings struct {
	Addresses []netip.Addr `param:"Address.N" alias:"IpAddress.N" listmax:"64"`
	Name      *string      `param:"ServerName" allowempty:"true" maxlen:"128"`
	ZoneID    *string      `param:"ZoneId" allowempty:"true" maxlen:"64"`
	VpcID     *string      `param:"VpcId" allowempty:"true" maxlen:"64"`
	Tags      []tagParam   `param:"Tag.N"`
}

// apply changes srv. The list of addresses and the tags are replaced as a whole.
func (p *serverSettings) apply(srv *slb.Server) error {
	for i, a := range p.Addresses {
		if !slb.IsHostAddress(a) {
			return invalid("Address", a.String(), "the address of a single host")
		}
		if slices.Contains(p.Addresses[:i], a) {
			return invalidBecause("Address", a.String()+" stands in it twice.")
		}
	}
	if len(p.Addresses) > 0 {
		srv.Addresses = slices.Clone(p.Addresses)
	}
	set(&srv.Name, p.Name)
	set(&srv.ZoneID, p.ZoneID)
	set(&srv.VpcID, p.VpcID)
	if len(p.Tags) > 0 {
		tags, err := tagsOf("Tag", p.Tags)
		if err != nil {
			return err
		}
		srv.Tags = tags
	}
	return nil
}

type registerServerParams struct {
	serverNameParam
	serverSettings
	Status slb.ServerStatus `param:"Status" default:"Running"`
}

// registerServer makes a server known. Doing it again with the same values is no
// error, so that a seed can run at every start.
func (s *Server) registerServer(ctx context.Context, p *registerServerParams) (*serverOut, error) {
	if len(p.Addresses) == 0 {
		return nil, missing("Address.1")
	}
	model := &slb.Server{ID: p.ServerID, Status: p.Status, CreatedAt: s.now()}
	if err := p.serverSettings.apply(model); err != nil {
		return nil, err
	}
	var result serverOut
	err := s.update(ctx, serverScope(p.ServerID), func(tx *store.Tx) error {
		srv := model.Clone()
		if old, ok := tx.Servers.Get(string(p.ServerID)); ok {
			if !sameServer(old, model) {
				return slb.ErrServerExists
			}
			result = serverOutOf(tx.State(), old)
			return nil
		}
		if limit := s.cfg.Quotas.RegisteredServers; limit >= 0 && exceeds(tx.Servers.CountPrefix("")+1, limit) {
			return slb.ErrQuota
		}
		tx.Servers.Put(srv)
		result = serverOutOf(tx.State(), srv)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &result, nil
}

func sameServer(a, b *slb.Server) bool {
	return a.Name == b.Name && a.Status == b.Status && a.ZoneID == b.ZoneID && a.VpcID == b.VpcID &&
		slices.Equal(a.Addresses, b.Addresses) && slices.Equal(a.Tags, b.Tags)
}

// editServer commits what fn changes in its copy of the server.
func (s *Server) editServer(ctx context.Context, id slb.ServerID, fn func(srv *slb.Server) error) (*serverOut, error) {
	var result serverOut
	err := s.update(ctx, serverScope(id), func(tx *store.Tx) error {
		srv, ok := tx.Servers.Edit(string(id))
		if !ok {
			return slb.ErrServerNotFound
		}
		if err := fn(srv); err != nil {
			return err
		}
		tx.Servers.Put(srv)
		result = serverOutOf(tx.State(), srv)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &result, nil
}

type modifyServerParams struct {
	serverNameParam
	serverSettings
}

// modifyServer changes what is given. Traffic moves to new addresses at once.
func (s *Server) modifyServer(ctx context.Context, p *modifyServerParams) (*serverOut, error) {
	return s.editServer(ctx, p.ServerID, p.serverSettings.apply)
}

type setServerStatusParams struct {
	serverNameParam
	Status slb.ServerStatus `param:"Status,required"`
}

// setServerStatus: Stopped takes the server out of traffic everywhere at once,
// Running brings it back.
func (s *Server) setServerStatus(ctx context.Context, p *setServerStatusParams) (*serverOut, error) {
	return s.editServer(ctx, p.ServerID, func(srv *slb.Server) error {
		srv.Status = p.Status
		return nil
	})
}
