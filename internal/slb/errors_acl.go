package slb

// Errors about access control lists and the old white list of a listener. That
// a listener names a list which does not exist is ErrACLNotFound.
var (
	ErrACLQuota      = &Error{400, "AclNumberOverLimit", "The maximum number of ACLs is exceeded."}
	ErrACLNameTaken  = &Error{400, "InvalidParameter", "The specified AclName is used by another ACL of the region."}
	ErrACLInUse      = &Error{400, "AclInUsed", "The specified Acl is used by a listener."}
	ErrACLEntry      = &Error{400, "AclEntryIllegal", "The specified ACL entry is invalid."}
	ErrACLEntryQuota = &Error{400, "AclEntryExceedLimit", "The maximum number of ACL entries is exceeded."}
	ErrACLEntryEmpty = &Error{400, "AclEntryEmpty", "Acl does not have any entry."}
	// ErrACLEntryTwice: the lists of one listener must not share entries.
	ErrACLEntryTwice = &Error{400, "AclEntryIllegal", "The specified ACL entry is in another ACL of the same listener."}
	ErrACLFamily     = &Error{400, "InvalidParameter", "The IP version of the specified Acl does not match that of the load balancer."}

	ErrSourceItems      = &Error{400, "InvalidParameter", "The specified SourceItems is invalid."}
	ErrSourceItemsQuota = &Error{400, "SourceItemsQuotaOverLimit", "The maximum number of SourceItems is exceeded."}
	// ErrAccessControlStatus: the white list and the ACLs of a listener exclude
	// each other.
	ErrAccessControlStatus = &Error{500, "IncorrectListenerAccessControlStatusStatus", "Current listener access control status does not support this operation."}
)
