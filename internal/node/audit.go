package node

import (
	"maps"
	"slices"
	"time"

	"github.com/openslb/openslb/internal/accesslog"
	"github.com/openslb/openslb/internal/dataplane/loop"
	"github.com/openslb/openslb/internal/rpc"
)

// auditKeep is how long the vendor's operation log can be read.
const auditKeep = 31 * 24 * time.Hour

// audited are the parameters that say what a call was about: identifiers, names
// and ports, never what is secret.
var audited = []string{
	"RegionId", "LoadBalancerId", "LoadBalancerName", "LoadBalancerStatus", "ListenerPort", "ListenerProtocol", "VServerGroupId", "VServerGroupName",
	"MasterSlaveServerGroupId", "RuleId", "RuleIds", "RuleName", "AclId", "AclName", "ServerCertificateId", "ServerCertificateName", "CACertificateId",
	"CACertificateName", "DomainExtensionId", "Domain", "TLSCipherPolicyId", "TLSCipherPolicy", "ServerId", "ResourceId", "ResourceType", "AccessKeyId", "UserName",
}

// audit gives what writes down each call with a right signature that is to change
// something, whether it did or was refused.
func (n *Node) audit() func(rpc.CallInfo) {
	log := n.auditLog.Log("audit")
	return func(c rpc.CallInfo) {
		if c.AccessKeyID == "" || c.Read {
			return
		}
		line := func(b []byte, stamp *accesslog.Stamp) []byte {
			b = stamp.Append(append(b, `{"time":`...), loop.Clock())
			b = appendCall(b, &c)
			return append(b, "}\n"...)
		}
		if !log.Append(0, line) {
			n.log.Error("no room in the audit log", "action", c.Action, "request", c.RequestID)
		}
	}
}

// appendCall appends what the audit log says of a call.
func appendCall(b []byte, c *rpc.CallInfo) []byte {
	text := func(name, value string) {
		b = append(append(append(b, ',', '"'), name...), '"', ':')
		b = accesslog.AppendText(b, []byte(value))
	}
	text("access_key_id", c.AccessKeyID)
	text("remote", c.Remote.String())
	text("product", c.Product)
	text("action", c.Action)
	text("request_id", c.RequestID)
	b = accesslog.AppendInt(append(b, `,"status":`...), int64(c.Status))
	text("code", c.Code)
	b = append(b, `,"params":{`...)
	for i, name := range slices.Sorted(maps.Keys(c.Params)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(accesslog.AppendText(b, []byte(name)), ':')
		b = accesslog.AppendText(b, []byte(c.Params[name]))
	}
	return append(b, '}')
}
