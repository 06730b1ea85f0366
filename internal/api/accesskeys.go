package api

import (
	"context"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

func (s *Server) accessKeyActions() []rpc.Action {
	return []rpc.Action{
		rpc.NewAction("CreateAccessKey", s.createAccessKey),
		rpc.NewAction("ListAccessKeys", s.listAccessKeys),
		rpc.NewAction("UpdateAccessKey", s.updateAccessKey),
		rpc.NewAction("DeleteAccessKey", s.deleteAccessKey),
	}
}

// keyScope serialises changes of keys, whose last one must stay.
const keyScope = "access-keys"

// States of a key in calls and answers, as the vendor's account service has
// them.
const (
	keyActive   = "Active"
	keyInactive = "Inactive"
)

type createAccessKeyParams struct {
	Description string `param:"Description" maxlen:"128"`
}

type createAccessKeyResult struct {
	AccessKey newAccessKey `out:"AccessKey"`
}

type newAccessKey struct {
	accessKeyOut
	AccessKeySecret string `out:"AccessKeySecret"` // told here and never again
}

func (s *Server) createAccessKey(ctx context.Context, p *createAccessKeyParams) (*createAccessKeyResult, error) {
	if exceeds(s.cfg.Store.State().AccessKeys.Len()+1, s.cfg.Quotas.AccessKeys) {
		return nil, slb.ErrQuota
	}
	k, secret, err := s.cfg.Keys.Create(ctx, "", "", p.Description)
	if err != nil {
		return nil, err
	}
	return &createAccessKeyResult{newAccessKey{accessKeyOutOf(&k), secret}}, nil
}

func keyStatus(k *slb.AccessKey) string {
	if k.Enabled {
		return keyActive
	}
	return keyInactive
}

type accessKeyOut struct {
	AccessKeyID string `out:"AccessKeyId"`
	CreateTime  string `out:"CreateTime"`
	Description string `out:"Description,omitempty"`
	Status      string `out:"Status"`
}

func accessKeyOutOf(k *slb.AccessKey) accessKeyOut {
	return accessKeyOut{k.ID, timeText(k.CreatedAt), k.Description, keyStatus(k)}
}

type listAccessKeysResult struct {
	AccessKeys []accessKeyOut `out:"AccessKeys>AccessKey"`
}

func (s *Server) listAccessKeys(context.Context, *rpc.NoParams) (*listAccessKeysResult, error) {
	r := &listAccessKeysResult{}
	for _, k := range s.cfg.Store.State().AccessKeys.All() {
		r.AccessKeys = append(r.AccessKeys, accessKeyOutOf(k))
	}
	return r, nil
}

// accessKeyParams name the key to change. The vendor's name for it would be
// AccessKeyId, which is taken: it tells who calls.
type accessKeyParams struct {
	UserAccessKeyID string `param:"UserAccessKeyId,required" maxlen:"128"`
}

// editKey commits fn unless it leaves no enabled key. Disabling a key that is
// disabled changes nothing, and is allowed whatever the other keys are.
func (s *Server) editKey(ctx context.Context, id string, fn func(tx *store.Tx, k *slb.AccessKey)) error {
	return s.update(ctx, keyScope, func(tx *store.Tx) error {
		k, ok := tx.AccessKeys.Edit(id)
		if !ok {
			return slb.ErrAccessKeyUnknown
		}
		before := k.Enabled
		fn(tx, k)
		if !before {
			return nil
		}
		for _, other := range tx.AccessKeys.Prefix("") {
			if !other.Enabled {
				continue
			}
			// Deletions go unseen by the walk; reading the survivor is what makes this
			// run again when somebody on another node deletes it.
			tx.AccessKeys.Get(other.ID)
			return nil
		}
		return slb.ErrLastAccessKey
	})
}

type updateAccessKeyParams struct {
	accessKeyParams
	Status string `param:"Status,required" enum:"Active|Inactive"`
}

func (s *Server) updateAccessKey(ctx context.Context, p *updateAccessKeyParams) (*rpc.Empty, error) {
	return &rpc.Empty{}, s.editKey(ctx, p.UserAccessKeyID, func(tx *store.Tx, k *slb.AccessKey) {
		k.Enabled = p.Status == keyActive
		tx.AccessKeys.Put(k)
	})
}

func (s *Server) deleteAccessKey(ctx context.Context, p *accessKeyParams) (*rpc.Empty, error) {
	return &rpc.Empty{}, s.editKey(ctx, p.UserAccessKeyID, func(tx *store.Tx, k *slb.AccessKey) {
		tx.AccessKeys.Delete(k.ID)
	})
}
