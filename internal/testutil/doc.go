// Package testutil is for tests of this module: servers and clients on raw
// sockets that can misbehave on command, addresses that do not collide with
// those of other tests, and a check for goroutines left behind.
//
// Everything stays on loopback. Helpers take a testing.TB and clean up after
// themselves when the test ends.
package testutil
