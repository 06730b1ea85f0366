package api

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

func (s *Server) whiteListActions() []rpc.Action {
	return []rpc.Action{
		rpc.NewAction("AddListenerWhiteListItem", s.addWhiteListItems),
		rpc.NewAction("RemoveListenerWhiteListItem", s.removeWhiteListItems),
		rpc.NewAction("SetListenerAccessControlStatus", s.setWhiteListStatus),
		rpc.NewAction("DescribeListenerAccessControlAttribute", s.describeWhiteList),
	}
}

// The two states of a white list on the wire.
const (
	whiteListOpen   = "open_white_list"
	whiteListClosed = "close"
)

type whiteListItemsParams struct {
	anyListenerParams
	SourceItems string `param:"SourceItems,required"` // comma list
}

// items are the ranges of the call. What means everybody is refused: a white
// list of that kind is better closed. Source: AddListenerWhiteListItem.
func (p *whiteListItemsParams) items(family slb.IPVersion) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for text := range strings.SplitSeq(p.SourceItems, ",") {
		prefix, ok := parseRange(text)
		if !ok || prefix.Addr().Is4() != (family != slb.IPv6) || prefix.Bits() == 0 || prefix.Addr().IsUnspecified() {
			return nil, slb.ErrSourceItems.Because("An item is %s; it must be an address or a CIDR block of %s that is not everybody.",
				rpc.Shown(text), familyName(family))
		}
		if !hasRange(out, prefix) {
			out = append(out, prefix)
		}
	}
	return out, nil
}

func hasRange(list []netip.Prefix, prefix netip.Prefix) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return sameRange(p, prefix) })
}

// changeWhiteList commits what fn does to the white list of a listener.
func (s *Server) changeWhiteList(ctx context.Context, p *anyListenerParams, fn func(lb *slb.LoadBalancer, l *slb.Listener) error) (*rpc.Empty, error) {
	err := s.changeListener(ctx, p, func(tx *store.Tx, lb *slb.LoadBalancer, l *slb.Listener) error {
		if err := fn(lb, l); err != nil {
			return err
		}
		tx.Listeners.Put(l)
		return nil
	})
	if errors.Is(err, slb.ErrResourceNotFound) {
		err = slb.ErrListenerNotFound
	}
	return &rpc.Empty{}, err
}

// addWhiteListItems also fills a list that is closed: it is the only way to open
// one without shutting everybody out for a while.
func (s *Server) addWhiteListItems(ctx context.Context, p *whiteListItemsParams) (*rpc.Empty, error) {
	return s.changeWhiteList(ctx, &p.anyListenerParams, func(lb *slb.LoadBalancer, l *slb.Listener) error {
		items, err := p.items(lb.AddressIPVersion)
		if err != nil {
			return err
		}
		for _, item := range items {
			if !hasRange(l.WhiteList.Items, item) {
				l.WhiteList.Items = append(l.WhiteList.Items, item)
			}
		}
		if exceeds(len(l.WhiteList.Items), s.cfg.Quotas.WhiteListItems) {
			return slb.ErrSourceItemsQuota
		}
		return nil
	})
}

// removeWhiteListItems passes over what is not in the list. An open list that
// is emptied refuses everybody.
func (s *Server) removeWhiteListItems(ctx context.Context, p *whiteListItemsParams) (*rpc.Empty, error) {
	return s.changeWhiteList(ctx, &p.anyListenerParams, func(lb *slb.LoadBalancer, l *slb.Listener) error {
		items, err := p.items(lb.AddressIPVersion)
		if err != nil {
			return err
		}
		l.WhiteList.Items = slices.DeleteFunc(l.WhiteList.Items, func(item netip.Prefix) bool { return hasRange(items, item) })
		return nil
	})
}

type setWhiteListStatusParams struct {
	anyListenerParams
	AccessControlStatus string `param:"AccessControlStatus,required" enum:"open_white_list|close"`
}

// setWhiteListStatus opens or closes the list, whose items stay either way. The
// list and the access control lists of a listener exclude each other.
func (s *Server) setWhiteListStatus(ctx context.Context, p *setWhiteListStatusParams) (*rpc.Empty, error) {
	return s.changeWhiteList(ctx, &p.anyListenerParams, func(_ *slb.LoadBalancer, l *slb.Listener) error {
		l.WhiteList.Open = p.AccessControlStatus == whiteListOpen
		if l.WhiteList.Open && l.ACL.Status == slb.On {
			return slb.ErrAccessControlStatus
		}
		return nil
	})
}

type describeWhiteListResult struct {
	AccessControlStatus string `out:"AccessControlStatus"`
	SourceItems         string `out:"SourceItems"` // comma list; single addresses without a mask
}

func (s *Server) describeWhiteList(_ context.Context, p *anyListenerParams) (*describeWhiteListResult, error) {
	state, lb, err := s.loadBalancer(&p.loadBalancerParams)
	if err != nil {
		return nil, err
	}
	l, err := resolveListener(state.ListenersOf(lb.ID), p.ListenerPort, p.ListenerProtocol)
	switch {
	case err == errAmbiguous:
		return nil, err
	case err != nil:
		return nil, slb.ErrListenerNotFound
	}
	r := &describeWhiteListResult{AccessControlStatus: whiteListClosed}
	if l.WhiteList.Open {
		r.AccessControlStatus = whiteListOpen
	}
	var items []string
	for _, item := range l.WhiteList.Items {
		if item.IsSingleIP() {
			items = append(items, item.Addr().String())
		} else {
			items = append(items, item.String())
		}
	}
	r.SourceItems = strings.Join(items, ",")
	return r, nil
}
