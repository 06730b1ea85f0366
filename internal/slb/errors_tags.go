package slb

// Errors about tags. That a call has too many is ErrTooManyTags.
var (
	ErrTagQuota = &Error{400, "TagCountLimit", "Tags count limit exceeded."}
	// ErrTaggedNotFound: the reference names no code for it.
	ErrTaggedNotFound = &Error{404, "InvalidResourceId.NotFound", "The specified ResourceId does not exist."}
)
