package node

import (
	"context"

	"github.com/openslb/openslb/internal/api"
)

// readQuotas refuses a node whose quotas are not what they seem.
func (n *Node) readQuotas(context.Context) (err error) {
	n.quotas, err = api.QuotasByName(n.cfg.Quotas)
	return err
}

// QuotaHelp lists the quotas with their defaults, for those who set them.
func QuotaHelp() string { return api.DescribeQuotas() }
