package spec

// SourceMode says whose address servers of layer 4 see as that of their client.
type SourceMode string

// The source modes.
const (
	// SourceProxy is the node's own address.
	SourceProxy SourceMode = "proxy"
	// SourceTransparent is the client's, address and port. It needs rights, and
	// servers whose answers to clients pass the node.
	SourceTransparent SourceMode = "transparent"
	// SourceAuto is transparent where the rights are there, and otherwise proxy. It
	// is never in force.
	SourceAuto SourceMode = "auto"
)

// SourceFacts tell which source mode is in force, and why.
type SourceFacts struct {
	Asked   SourceMode
	InForce SourceMode // proxy or transparent
	Reason  string     // for an operator
}
