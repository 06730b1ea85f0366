// Package rpc speaks the RPC protocol of the vendor's APIs for any product:
// parameters in query or form, the signatures V1 and V3, answers and errors in
// XML or JSON, and one port for HTTP and TLS.
//
// A product is a list of actions. An action is a name and a function from a
// struct of parameters to a struct of results; struct tags say how both look on
// the wire (see NewAction). The package knows no product and imports nothing
// else of this module.
package rpc
