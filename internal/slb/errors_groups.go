package slb

// Errors about server groups. The codes in capitals belong to
// CreateMasterSlaveServerGroup alone.
var (
	ErrBackendServersMalformed = &Error{400, "BackendServersMalformed", "the specified parameter BackendServers is unavailable."}
	ErrGroupServerPort         = &Error{400, "InvalidParameter", "The specified BackendServers is invalid, as the Port value should be in [1, 65535]."}
	// ErrTooManyGroupServers takes the limit. The vendor's text names 20, which
	// its own controller exceeds.
	ErrTooManyGroupServers = &Error{400, "TooManyBackendServers", "The total number of input real servers exceeds max supported number: %d"}
	ErrGroupQuota          = &Error{400, "OverQuota", "The number of server groups on the load balancer exceeds the limit."}
	ErrGroupUsedByListener = &Error{400, "RspoolVipExist", "there are vips associating with this vServer group."}
	ErrGroupUsedByRule     = &Error{400, "RspoolRuleExist", "there are rules associating with this vServer group."}
	// ErrGroupProtocol: the id names a group of the kind that the parameter, or
	// the listener's protocol, cannot have.
	ErrGroupProtocol = &Error{400, "VipNotMatchRspool", "The vip protocol is not match with Rspool."}

	ErrPairNotTwo      = &Error{400, "BACKEND_SERVERS_NUM_MUST_BE_TWO", "Backend servers num must be 2."}
	ErrPairSame        = &Error{400, "BACKEND_SERVERS_HAVE_SAME_PORT_AND_SERVERID", "Backend servers have same port and serverId."}
	ErrPairRoles       = &Error{400, "BACKEND_SERVERS_CAN_ONLY_CONTAIN_ONE_MASTER_AND_ONE_SLAVE", "Backend servers can only contain one master and one slave."}
	ErrPairServerID    = &Error{400, "BACKEND_SERVER_ID_CAN_NOT_EMPTY", "Backend server id can not empty."}
	ErrPairServerType  = &Error{400, "INVALID_SERVER_TYPE", "Invalid server type."}
	ErrPairPort        = &Error{400, "BACKEND_SERVER_PORT_CAN_NOT_EMPTY", "Backend server port can not empty."}
	ErrPairPortInvalid = &Error{400, "RealServerPortNotSupport", "Real server port not support."}
)
