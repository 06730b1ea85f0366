package spec

import "net/netip"

// ACLType says what an ACL does with the addresses that it lists.
type ACLType string

// The ACL types.
const (
	ACLWhite ACLType = "white" // they alone may connect
	ACLBlack ACLType = "black" // they may not connect
)

// ACL is the access control of a frontend. It is taken at its word: a white one
// without prefixes refuses everybody.
type ACL struct {
	Type     ACLType
	Prefixes []netip.Prefix // of either family; bits behind the mask do not count
}
