package api

import (
	"context"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

// monitorActions: the names are misspelt for ever.
func (s *Server) monitorActions() []rpc.Action {
	return []rpc.Action{
		rpc.NewAction("EnableHighDefinationMonitor", s.enableMonitor),
		rpc.NewAction("ModifyHighDefinationMonitor", s.modifyMonitor),
		rpc.NewAction("DescribeHighDefinationMonitor", s.describeMonitor),
	}
}

// monitorScope serialises the changes of the region's settings.
const monitorScope = "region-settings"

type monitorParams struct {
	LogProject string `param:"LogProject,required" minlen:"4" maxlen:"63" pattern:"[a-z0-9][a-z0-9-]*[a-z0-9]" form:"small letters, digits and '-', '-' neither first nor last"`
	LogStore   string `param:"LogStore,required" minlen:"2" maxlen:"64" pattern:"[a-z0-9][a-z0-9_-]*[a-z0-9]" form:"small letters, digits, '-' and '_', these two neither first nor last"`
	RegionID   string `param:"RegionId,required"`
}

type enableMonitorParams struct {
	monitorParams
	Tags []tagJSON `param:"Tags" jsonparam:"true" listmax:"20"`
}

type monitorResult struct {
	Success string `out:"Success"`
}

type describeMonitorResult struct {
	LogProject string `out:"LogProject"`
	LogStore   string `out:"LogStore"`
	Success    string `out:"Success"`
}

func (s *Server) enableMonitor(ctx context.Context, p *enableMonitorParams) (*monitorResult, error) {
	return s.setMonitor(ctx, &p.monitorParams, false)
}

func (s *Server) modifyMonitor(ctx context.Context, p *monitorParams) (*monitorResult, error) {
	return s.setMonitor(ctx, p, true)
}

func (s *Server) setMonitor(ctx context.Context, p *monitorParams, mustBeOn bool) (*monitorResult, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	err := s.update(ctx, monitorScope, func(tx *store.Tx) error {
		r, ok := tx.RegionSettings.Edit(s.cfg.Region)
		if !ok {
			r = &slb.RegionSettings{RegionID: s.cfg.Region}
		}
		if mustBeOn && r.MonitorProject == "" {
			return slb.ErrMonitorOff
		}
		r.MonitorProject, r.MonitorStore = p.LogProject, p.LogStore
		tx.RegionSettings.Put(r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &monitorResult{"true"}, nil
}

type describeMonitorParams struct {
	RegionID string    `param:"RegionId,required"`
	Tags     []tagJSON `param:"Tags" jsonparam:"true" listmax:"20"`
}

// describeMonitor tells empty names while the monitor is off.
func (s *Server) describeMonitor(_ context.Context, p *describeMonitorParams) (*describeMonitorResult, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	r := &describeMonitorResult{Success: "true"}
	if v, ok := s.cfg.Store.State().RegionSettings.Get(s.cfg.Region); ok {
		r.LogProject, r.LogStore = v.MonitorProject, v.MonitorStore
	}
	return r, nil
}
