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

// Each API error is declared once. The catalogue uses one code with several
// messages, so that the value carries the name.
var (
	ErrLoadBalancerNotFound = &Error{404, "InvalidLoadBalancerId.NotFound", "The specified LoadBalancerId does not exist."}
	ErrListenerNotFound     = &Error{400, "InvalidParameter", "The specified resource does not exist."}
)
