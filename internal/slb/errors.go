package slb

import "fmt"

// Error is an error of the API: what the caller may read. Any other error that
// reaches package rpc becomes an internal error, and its text goes to the log.
type Error struct {
	Status  int    // HTTP status
	Code    string // the vendor's code
	Message string // the vendor's text
}

// Error returns code and message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// APICode is the code sent to the caller.
func (e *Error) APICode() string { return e.Code }

// APIMessage is the message sent to the caller.
func (e *Error) APIMessage() string { return e.Message }

// HTTPStatus is the status sent to the caller.
func (e *Error) HTTPStatus() int { return e.Status }

// With returns a copy of e whose message is formatted with args.
func (e *Error) With(args ...any) *Error {
	return &Error{Status: e.Status, Code: e.Code, Message: fmt.Sprintf(e.Message, args...)}
}

// Because returns a copy of e whose text goes on with a reason, a sentence of its
// own. The documented text stays in front, where clients look for it.
func (e *Error) Because(format string, args ...any) *Error {
	return &Error{Status: e.Status, Code: e.Code, Message: e.Message + " " + fmt.Sprintf(format, args...)}
}

// Each API error is declared once. The catalogue uses one code with several
// messages, so that the value carries the name. Misspelled texts are the
// vendor's: clients compare them.
var (
	// ErrMissingParameter takes the parameter's name.
	ErrMissingParameter = &Error{400, "MissingParameter", "The input parameter \"%s\" that is mandatory for processing this request is not supplied."}
	ErrParameterLength  = &Error{400, "InvalidParameterLength", "The specified parameter length is not valid."}
	ErrUnsupported      = &Error{400, "UnsupportedParameter", "The specified parameter is not unsupported."}
	ErrRegionNotFound   = &Error{404, "InvalidRegionId.NotFound", "The specified RegionId does not exist."}
	ErrTooManyTags      = &Error{400, "TagCreateCountLimit", "tags create count limit exceeded."}
)

// Errors about instances.
var (
	ErrLoadBalancerNotFound  = &Error{404, "InvalidLoadBalancerId.NotFound", "The specified LoadBalancerId does not exist."}
	ErrLoadBalancerQuota     = &Error{400, "OverQuota", "Instance num exceeded Quota."}
	ErrDeleteProtection      = &Error{400, "OperationDenied.DeleteProtectionIsOn", "The loadbalancer can't be deleted due to DeleteProtection is enabled."}
	ErrTokenConflict         = &Error{400, "LX_REQUEST_TOKEN_CONFLICT", "The ClientToken is conflict."}
	ErrAddressNotInSubnet    = &Error{400, "InvalidParameter", "Illegal parameter. The IP address is not in subnet."}
	ErrAddressTaken          = &Error{400, "InvalidParameter", "The vpc Ip is exist."}
	ErrNoAddress             = &Error{400, "IpNotAvailable", "The specified network type load balancer load balancer ."}
	ErrNoVSwitchAddress      = &Error{400, "VSwitchAvailableIpNotExist", "The specified VSwitch has no available IP address."}
	ErrPrepayInternetTraffic = &Error{400, "Operation.NotAllowed", "Operation Denied. The charge type of internet prepay instance can only be paybybandwidth."}
	ErrPrepayIntranetCharge  = &Error{400, "Operation.NotAllowed", "Operation Denied. The charge type of intranet prepay instance can only be paybytraffic."}
	ErrLocked                = &Error{400, "ActionNotAllowed", "Locked for any Business Reason."}
)

// Errors about the store, each the vendor's error for a failure that passes, and
// what has become of the change.
var (
	ErrStoreUnreachable = &Error{503, "ServiceUnavailable", "The request has failed due to a temporary failure of the server. Its store cannot be reached; nothing was changed."}
	ErrStoreSilent      = &Error{503, "ServiceUnavailable", "The request has failed due to a temporary failure of the server. Its store did not answer; the change may have been made or not."}
	ErrStoreFull        = &Error{503, "ServiceUnavailable", "The request has failed due to a temporary failure of the server. Its store is full; nothing was changed."}
)

// Errors about backend servers.
var (
	ErrTooManyServers   = &Error{400, "TooManyBackendServers", "The total number of input real servers exceeds max supported number: 20"}
	ErrBackendServers   = &Error{400, "InvalidParameter", "The specified BackendServers is invalid."}
	ErrServerIDEmpty    = &Error{400, "InvalidParameter", "The VmName is emtpy."}
	ErrServerNotRunning = &Error{400, "ObtainIpFail", "The specified BackendServers is invalid; some of the specified backend servers do not exist or are not running."}
	ErrServerNotFound   = &Error{404, "InvalidServerId.NotFound", "The specified ServerId does not exist."}
	ErrWeight           = &Error{400, "InvalidWeight.Malformed", "A specified weight is not valid."}
	ErrServerType       = &Error{400, "InvalidParameter", "The type is invalid."}
	// ErrNetworkType is the one error that the reference page of
	// AddBackendServers lists.
	ErrNetworkType  = &Error{400, "InvalidParameter", "The specified load balancer does not support the network type of the ECS instance."}
	ErrNetworkMixed = &Error{400, "InvalidBackendServers.Inconsistent", "All BackendServers on one Specified LoadBalancer have to be in the same vpc or all classic"}
	ErrServerQuota  = &Error{400, "InstanceBackendServerNumberOverLimit", "The number of backend servers on the load balancer exceeds the limit."}
	ErrQuota        = &Error{400, "OverQuota", "The Total is over the quota."}
)

// Errors about listeners.
var (
	// ErrResourceNotFound: clients know by its text that a listener is gone.
	ErrResourceNotFound  = &Error{400, "InvalidParameter", "The specified resource does not exist."}
	ErrPort              = &Error{400, "InvalidParameter", "The specified port is not valid."}
	ErrBandwidth         = &Error{400, "InvalidParameter", "The specified Bandwidth is invalid."}
	ErrBandwidthExceeded = &Error{400, "InvalidParameter", "The specified Bandwidth is invalid. It exceeds the maximum bandwidth available to the instance."}
	ErrListenerExists    = &Error{400, "ListenerAlreadyExists", "A listener with the specified port already exists"}
	ErrListenerQuota     = &Error{400, "ListenerNumberOverLimit", "The maximum number of listeners is exceeded."}
	ErrListenerNotFound  = &Error{404, "ListenerNotFound", "You have not created a listener for the specified port of the load balancer."}
	ErrFixedProtocolPort = &Error{400, "UnsupportedOperationonfixedprotocalport", "The operation is not supported by the protocol of the specified port."}
	ErrGroupMismatch     = &Error{400, "Abs.VServerGroupIdAndMasterSlaveServerGroupId.MissMatch", "The parameters VServerGroupId or MasterSlaveServerGroupId miss match."}
	ErrVServerGroup      = &Error{404, "InvalidParameter", "The specified VServerGroupId does not exist."}
	ErrMasterSlaveGroup  = &Error{404, "InvalidParameter", "The specified MasterSlaveGroupId does not exist"}
	ErrACLNotFound       = &Error{400, "AclNotExist", "The specified Acl does not exist."}
	// ErrListenerBind takes the system's reason. The cloud has no such error: its
	// addresses are always its own.
	ErrListenerBind = &Error{400, "OperationFailed.ListenerBind", "The listener cannot take its address and port on this node: %s"}
)

// Errors of the product OpenSLB: the register of servers and the access keys.
var (
	ErrServerExists = &Error{409, "ServerAlreadyExists", "A server with the specified ServerId is registered with other values; use ModifyServer to change it."}
	// ErrServerAttached takes the server's id and the number of instances.
	ErrServerAttached   = &Error{409, "ServerInUse", "Server %s is attached to %d load balancers; remove it there first, or set Force."}
	ErrAccessKeyUnknown = &Error{404, "InvalidAccessKeyId.NotFound", "Specified access key is not found."}
	ErrAccessKeyExists  = &Error{409, "AccessKeyAlreadyExists", "An access key with the specified id exists."}
	ErrLastAccessKey    = &Error{409, "LastAccessKey", "The last enabled access key cannot be disabled or deleted, since nobody could call this server any more."}
)
