package rpc

import (
	"errors"
	"fmt"
	"net/http"
)

// Error is an error of the gateway, raised before an action runs or in place of
// an answer that must not be shown.
type Error struct {
	Status  int    // HTTP status
	Code    string // what clients compare
	Message string // what people read
}

// Error returns code and message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// APICode is the code sent to the caller.
func (e *Error) APICode() string { return e.Code }

// APIMessage is the message sent to the caller.
func (e *Error) APIMessage() string { return e.Message }

// HTTPStatus is the status sent to the caller.
func (e *Error) HTTPStatus() int { return e.Status }

// ErrUnknownKey is what a KeyStore answers for an access key id it never had.
var ErrUnknownKey = errors.New("access key is not known")

// unavailable marks a failure that may pass, such as a store that does not
// answer. The caller reads ServiceUnavailable, the log the cause.
type unavailable struct{ cause error }

func (u *unavailable) Error() string { return u.cause.Error() }
func (u *unavailable) Unwrap() error { return u.cause }

// apiError is what an error must offer to reach the caller. Everything else
// becomes InternalError, and its text goes to the log only.
type apiError interface {
	error
	APICode() string
	APIMessage() string
	HTTPStatus() int
}

// The gateway's errors with code and text. Where the product page and the
// gateway of today differ, the gateway's form is used: clients meet that one.
var (
	errMethod            = &Error{403, "UnsupportedHTTPMethod", "This http method is not supported."}
	errVersion           = &Error{404, "InvalidVersion", "Specified parameter Version is not valid."}
	errAction            = &Error{404, "InvalidAction.NotFound", "Specified api is not found, please check your url and method."}
	errKeyNotFound       = &Error{404, "InvalidAccessKeyId.NotFound", "Specified access key is not found."}
	errKeyInactive       = &Error{400, "InvalidAccessKeyId.Inactive", "Specified access key is disabled."}
	errTokenMalformed    = &Error{400, "InvalidSecurityToken.Malformed", "Specified SecurityToken is malformed."}
	errTokenMismatch     = &Error{400, "InvalidSecurityToken.MismatchWithAccessKey", "Specified SecurityToken mismatch with the AccessKey."}
	errBearer            = &Error{400, "InvalidSecurityToken.Malformed", "Specified BearerToken is not accepted, as this server issues none."}
	errIncomplete        = &Error{400, "IncompleteSignature", "The request signature does not conform to Aliyun standards."}
	errTimestampFormat   = &Error{400, "InvalidTimeStamp.Format", "Specified time stamp or date value is not well formatted."}
	errTimestampExpired  = &Error{400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired."}
	errNonceUsed         = &Error{400, "SignatureNonceUsed", "Specified signature nonce was used already."}
	errThrottled         = &Error{400, "Throttling", "Request was denied due to request throttling."}
	errThrottledUser     = &Error{400, "Throttling.User", "Request was denied due to user flow control."}
	errInternal          = &Error{500, "InternalError", "The request processing has failed due to some unknown error, exception or failure."}
	errUnavailable       = &Error{503, "ServiceUnavailable", "The request has failed due to a temporary failure of the server."}
	errTooLarge          = &Error{413, "RequestEntityTooLarge", "The request is larger than this server accepts."}
	errURITooLong        = &Error{414, "RequestURITooLarge", "The request line is longer than this server accepts."}
	errTooManyParameters = &Error{400, "InvalidParameter", "The request has more parameters than this server accepts."}

	// The code is misspelled on the common parameter page, the only place that
	// has one for these two cases.
	errSignatureMethod  = &Error{400, "InvalidParamater", `The specified parameter "SignatureMethod" is not valid.`}
	errSignatureVersion = &Error{400, "InvalidParamater", `The specified parameter "SignatureVersion" is not valid.`}
)

// missingCommon is the error for an absent parameter that every call needs; the
// gateway puts the name into the code.
func missingCommon(name string) *Error {
	return &Error{http.StatusBadRequest, "Missing" + name, name + " is mandatory for this action."}
}

// missingParameter is the error for an absent parameter of an action. Clients
// know the product with this older form here.
func missingParameter(name string) *Error {
	return &Error{http.StatusBadRequest, "MissingParameter",
		fmt.Sprintf(`The input parameter "%s" that is mandatory for processing this request is not supplied.`, name)}
}
