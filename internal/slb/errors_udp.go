package slb

// Errors about UDP listeners.
var (
	ErrHealthCheckReq = &Error{400, "InvalidParamLength.HealthCheckReq", "The length of the parameter HealthCheckReq is invalid."}
	ErrHealthCheckExp = &Error{400, "InvalidParamLength.HealthCheckExp", "The length of the parameter HealthCheckExp is invalid."}
)
