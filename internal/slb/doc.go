// Package slb is the vocabulary of the load balancer: resources, identifiers,
// enumerations, API errors, and the immutable State that readers see.
//
// It holds the rules that concern a single resource. Rules across resources
// live in package api, inside a store transaction. The package imports nothing
// else of this module.
package slb
