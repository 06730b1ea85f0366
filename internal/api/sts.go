package api

import (
	"context"

	"github.com/openslb/openslb/internal/rpc"
)

func (s *Server) stsActions() []rpc.Action {
	return []rpc.Action{rpc.NewAction("GetCallerIdentity", s.getCallerIdentity)}
}

type callerIdentity struct {
	AccountID    string `out:"AccountId"`
	ARN          string `out:"Arn"`
	IdentityType string `out:"IdentityType"`
	PrincipalID  string `out:"PrincipalId"`
	UserID       string `out:"UserId"`
}

// getCallerIdentity: all keys belong to the one account of this server.
func (s *Server) getCallerIdentity(context.Context, *rpc.NoParams) (*callerIdentity, error) {
	id := s.cfg.AccountID
	return &callerIdentity{
		AccountID:    id,
		ARN:          "acs:ram::" + id + ":root",
		IdentityType: "Account",
		PrincipalID:  id,
		UserID:       id,
	}, nil
}
