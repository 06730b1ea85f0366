package spec

// Rule sends the requests of an HTTP frontend that it matches to a pool of its
// own. One of Domain and Path may be empty. The rule that fits best decides,
// whatever their order.
type Rule struct {
	ID string
	// Domain is a host name, or "*." and the end of names; empty: any.
	Domain string
	// Path is how the path of the request begins, byte by byte, once both are
	// free of percent-encoding; empty: any.
	Path   string
	Pool   string  // Pool.ID
	Sticky *Sticky // nil: off
}
