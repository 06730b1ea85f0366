package slb

import "time"

// AccessKey is one key pair. The secret is kept sealed, because HMAC needs it
// back.
type AccessKey struct {
	ID           string
	SealedSecret []byte
	Enabled      bool
	Description  string `json:",omitempty"`
	CreatedAt    time.Time
}

// Key is the resource's key in the store.
func (k *AccessKey) Key() string { return k.ID }

// Clone returns a copy that shares nothing mutable with k.
func (k *AccessKey) Clone() *AccessKey {
	c := *k
	c.SealedSecret = append([]byte(nil), k.SealedSecret...)
	return &c
}

// AddressClaim gives one service address to one instance; its existence is what
// makes addresses unique under concurrent creation. Every instance has one.
type AddressClaim struct {
	Address        string // the address's text form
	LoadBalancerID LoadBalancerID
	// Shared: several instances have this address, each with its own claim.
	Shared bool `json:",omitempty"`
}

// Key is the resource's key in the store.
func (a *AddressClaim) Key() string {
	if a.Shared {
		return a.Address + "/" + string(a.LoadBalancerID)
	}
	return a.Address
}

// Clone returns a copy of a.
func (a *AddressClaim) Clone() *AddressClaim { c := *a; return &c }

// ClientToken remembers what a CreateLoadBalancer call with a ClientToken made,
// so that its repetition gives the same answer. Source: CreateLoadBalancer.
type ClientToken struct {
	Token          string
	ParamsHash     string // hash of the call's own parameters
	LoadBalancerID LoadBalancerID
	// Answer is the answer of the first call, as JSON of the action's result.
	Answer    []byte `json:",omitempty"`
	CreatedAt time.Time
}

// ClientTokenLifetime is how long a token is remembered.
const ClientTokenLifetime = 24 * time.Hour

// Key is the resource's key in the store.
func (t *ClientToken) Key() string { return t.Token }

// Clone returns a copy of t.
func (t *ClientToken) Clone() *ClientToken {
	c := *t
	c.Answer = append([]byte(nil), t.Answer...)
	return &c
}
