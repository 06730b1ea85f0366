package slb

import (
	"crypto/rand"
	"math/big"
)

// LoadBalancerID names one load balancer, for example lb-2ze7o5h52g02kkzze7lru.
type LoadBalancerID string

// ServerID names one server of the register: i-..., eni-..., eci-..., or any
// other identifier that the operator uses.
type ServerID string

const idAlphabet = "0123456789abcdefghijklmnopqrstuvwxyz"

// NewLoadBalancerID returns a fresh identifier of the vendor's form.
func NewLoadBalancerID() LoadBalancerID { return LoadBalancerID("lb-" + RandomToken(21)) }

// RandomToken returns n characters drawn evenly from digits and lower-case
// letters by the system's random source.
func RandomToken(n int) string {
	b := make([]byte, n)
	limit := big.NewInt(int64(len(idAlphabet)))
	for i := range b {
		v, err := rand.Int(rand.Reader, limit)
		if err != nil {
			panic("slb: system random source failed: " + err.Error())
		}
		b[i] = idAlphabet[v.Int64()]
	}
	return string(b)
}
