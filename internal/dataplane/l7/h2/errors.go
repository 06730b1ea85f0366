package h2

import (
	"fmt"

	"golang.org/x/net/http2"
)

// Error ends a connection. What is to be told to the other side, a GOAWAY
// frame, is among the output already.
type Error struct {
	Code   http2.ErrCode
	Reason string
}

func (e *Error) Error() string { return fmt.Sprintf("http/2: %s: %s", e.Code, e.Reason) }

// The codes that the caller has use for.
const (
	NoError         = http2.ErrCodeNo
	InternalError   = http2.ErrCodeInternal
	Cancel          = http2.ErrCodeCancel
	EnhanceYourCalm = http2.ErrCodeEnhanceYourCalm // too slow, or too much
)

// Code is why a stream ends.
type Code = http2.ErrCode
