package spec

// Limits bound all frontends of one instance together. A zero field is no
// limit.
type Limits struct {
	// Connections open at once, flows of UDP included.
	Connections int
	// ConnectionRate is new connections a second.
	ConnectionRate int
	// RequestRate is requests a second, on layer 7.
	RequestRate int
	// Bandwidth is in bits a second, in each direction. What a frontend has as
	// its own Bandwidth is set aside for it; the others share the rest evenly.
	Bandwidth int64
}
