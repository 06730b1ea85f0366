// Package node puts one node together: store, keys, data plane, reconciler and
// API, with the order in which they start and stop.
//
// It is the one package that knows all the others. Only cmd/openslb and tests
// import it.
package node
