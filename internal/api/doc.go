// Package api holds the actions: those of the vendor's product Slb 2014-05-15,
// those of the own product OpenSLB 2026-11-01, and the few calls of other
// products that clients make on their way.
//
// An action is one block: its row, its params, its result and its function.
// Params and results are declared by struct tags (see package rpc); a function
// reads, decides and writes inside one store transaction, so that quotas and
// uniqueness hold under parallel calls. It returns when the change is applied
// to traffic, or two seconds after it was committed.
package api
