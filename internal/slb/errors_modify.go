package slb

// Errors about the commercial side of instances. One code has many messages.
var (
	ErrSpecNotRaised      = &Error{400, "Operation.NotAllowed", "Operation Denied. Prepay instance only permitted to increase loadBalancerSpec."}
	ErrPrepayChargeType   = &Error{400, "Operation.NotAllowed", "Operation Denied. Prepay instance only permitted to modify internet bandwidth."}
	ErrBandwidthNotRaised = &Error{400, "Operation.NotAllowed", "Operation Denied. Prepay instance only permitted to increase internet bandwidth."}
	ErrIntranetBandwidth  = &Error{400, "ActionNotAllowed", "The Intranet LB's InternetChargeType is not allowed change to paybybandwidth."}
	ErrTrafficToPrepay    = &Error{400, "Operation.NotAllowed", "Cannot change internet payByTraffic loadBalancer from PayOnDemand to PrePay."}
	ErrOnlyToPrepay       = &Error{400, "Operation.NotAllowed", "Only allow changing loadBalancer from PayOnDemand to PrePay."}
)

// ErrMonitorOff has a code of our own, as the reference names none.
var ErrMonitorOff = &Error{400, "ActionNotAllowed", "The fine-grained monitor of the region is not enabled."}
