package h1

// Error is why a message was refused. All values are declared here, so
// refusing a message allocates nothing.
type Error struct {
	// Status is the answer for a refused request. For a refused response it is
	// always 502.
	Status int
	Reason string
}

func (e *Error) Error() string { return "http/1: " + e.Reason }

// Refusals of requests and, where they apply, of responses.
var (
	ErrMethod         = &Error{400, "malformed method"}
	ErrTarget         = &Error{400, "malformed request target"}
	ErrURITooLong     = &Error{414, "request target too long"}
	ErrVersion        = &Error{400, "malformed protocol version"}
	ErrVersionUnknown = &Error{505, "unsupported protocol version"}
	ErrNotAllowed     = &Error{405, "method not allowed"}
	ErrBareCR         = &Error{400, "CR without LF"}
	ErrBareLF         = &Error{400, "LF without CR"}
	ErrFold           = &Error{400, "folded header line"}
	ErrFieldName      = &Error{400, "malformed header name"}
	ErrSpaceColon     = &Error{400, "white space before the colon of a header"}
	ErrFieldValue     = &Error{400, "control byte in a header value"}
	ErrHeaderTooLarge = &Error{400, "header section too large"}
	ErrTooManyFields  = &Error{400, "too many header lines"}
	ErrHostMissing    = &Error{400, "no Host header"}
	ErrHostRepeated   = &Error{400, "more than one Host header"}
	ErrHost           = &Error{400, "malformed Host header"}
	ErrHostMismatch   = &Error{400, "Host header differs from the request target"}
	ErrLength         = &Error{400, "malformed Content-Length"}
	ErrLengthRepeated = &Error{400, "more than one Content-Length"}
	ErrCoding         = &Error{400, "Transfer-Encoding other than chunked"}
	ErrTwoFramings    = &Error{400, "Content-Length together with Transfer-Encoding"}
	ErrCodingVersion  = &Error{400, "Transfer-Encoding in HTTP/1.0"}
	ErrConnection     = &Error{400, "malformed Connection header"}
	ErrStatusLine     = &Error{502, "malformed status line"}
	ErrSwitch         = &Error{502, "unexpected 101 answer"}
	ErrChunkSize      = &Error{400, "malformed chunk size"}
	ErrChunkExt       = &Error{400, "malformed or too long chunk extension"}
	ErrChunkEnd       = &Error{400, "chunk data not followed by CRLF"}
	ErrTrailer        = &Error{400, "malformed or too long trailer section"}
)
