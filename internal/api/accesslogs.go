package api

import (
	"context"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

func (s *Server) accessLogActions() []rpc.Action {
	return []rpc.Action{
		rpc.NewAction("SetAccessLogsDownloadAttribute", s.setAccessLogs),
		rpc.NewAction("DeleteAccessLogsDownloadAttribute", s.deleteAccessLogs),
		rpc.NewAction("DescribeAccessLogsDownloadAttribute", s.describeAccessLogs),
	}
}

// layer7Log is the one type of access log.
const layer7Log = "layer7"

// accessLogParam is one element of LogsDownloadAttributes; samples begin its
// keys in either case.
type accessLogParam struct {
	LogProject     string             `param:"LogProject" maxlen:"128"`
	LogStore       string             `param:"LogStore" maxlen:"128"`
	LoadBalancerID slb.LoadBalancerID `param:"LoadBalancerId" maxlen:"64"`
	LogType        string             `param:"LogType" enum:"layer7"`
}

type accessLogsParams struct {
	Logs           []accessLogParam   `param:"LogsDownloadAttributes,required" jsonparam:"true" listmax:"50"`
	RegionID       string             `param:"RegionId,required"`
	LoadBalancerID slb.LoadBalancerID `param:"LoadBalancerId" maxlen:"64"` // of elements that name none
	Tags           []tagJSON          `param:"Tags" jsonparam:"true" listmax:"20"`
}

// changeAccessLogs commits what fn does for every element, or for none.
func (s *Server) changeAccessLogs(ctx context.Context, p *accessLogsParams, fn func(lb *slb.LoadBalancer, log *accessLogParam) error) (*rpc.Empty, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	return &rpc.Empty{}, s.update(ctx, string(p.LoadBalancerID), func(tx *store.Tx) error {
		for i := range p.Logs {
			log := p.Logs[i]
			if log.LoadBalancerID == "" {
				log.LoadBalancerID = p.LoadBalancerID
			}
			if log.LoadBalancerID == "" {
				return missing("LoadBalancerId")
			}
			lb, ok := tx.LoadBalancers.Edit(string(log.LoadBalancerID))
			if !ok {
				return slb.ErrLoadBalancerNotFound
			}
			if err := fn(lb, &log); err != nil {
				return err
			}
			tx.LoadBalancers.Put(lb)
		}
		return nil
	})
}

func (s *Server) setAccessLogs(ctx context.Context, p *accessLogsParams) (*rpc.Empty, error) {
	return s.changeAccessLogs(ctx, p, func(lb *slb.LoadBalancer, log *accessLogParam) error {
		switch "" {
		case log.LogProject:
			return missing("LogProject")
		case log.LogStore:
			return missing("LogStore")
		}
		lb.AccessLog = &slb.AccessLog{Project: log.LogProject, Store: log.LogStore, Type: layer7Log}
		return nil
	})
}

// deleteAccessLogs: an instance without a log has nothing to lose. Project and
// store need not agree.
func (s *Server) deleteAccessLogs(ctx context.Context, p *accessLogsParams) (*rpc.Empty, error) {
	return s.changeAccessLogs(ctx, p, func(lb *slb.LoadBalancer, _ *accessLogParam) error {
		lb.AccessLog = nil
		return nil
	})
}

type describeAccessLogsParams struct {
	RegionID       string             `param:"RegionId,required"`
	LoadBalancerID slb.LoadBalancerID `param:"LoadBalancerId" maxlen:"64"`
	LogType        string             `param:"LogType" enum:"layer7"`
	PageNumber     int                `param:"PageNumber" default:"1" range:"1..1000000"`
	PageSize       int                `param:"PageSize" default:"10" range:"1..50"`
	Tags           []tagJSON          `param:"Tags" jsonparam:"true" listmax:"20"`
}

type accessLogOut struct {
	LoadBalancerID string `out:"LoadBalancerId"`
	LogProject     string `out:"LogProject"`
	LogStore       string `out:"LogStore"`
	LogType        string `out:"LogType"`
	Region         string `out:"Region"`
}

type describeAccessLogsResult struct {
	Logs       []accessLogOut `out:"LogsDownloadAttributes>LogsDownloadAttribute"`
	PageNumber int            `out:"PageNumber"`
	PageSize   int            `out:"PageSize"`
	TotalCount int            `out:"TotalCount"`
}

func (s *Server) describeAccessLogs(_ context.Context, p *describeAccessLogsParams) (*describeAccessLogsResult, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	filters := tagConditions(asTagParams(p.Tags))
	r := &describeAccessLogsResult{PageNumber: p.PageNumber, PageSize: p.PageSize}
	first := (p.PageNumber - 1) * p.PageSize
	for lb := range oneOrAll(s.cfg.Store.State().LoadBalancers, string(p.LoadBalancerID)) {
		log := lb.AccessLog
		if log == nil || !fits(log.Type, p.LogType) || !tagsMatch(lb.Tags, filters) {
			continue
		}
		if n := r.TotalCount - first; n >= 0 && n < p.PageSize {
			r.Logs = append(r.Logs, accessLogOut{string(lb.ID), log.Project, log.Store, log.Type, s.cfg.Region})
		}
		r.TotalCount++
	}
	return r, nil
}
