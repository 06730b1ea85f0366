// Package netns makes network namespaces for tests: hosts that are joined by
// veth pairs, each with addresses, routes and packet filters of its own, so that
// real packets travel between a client, a balancer and its servers.
//
// A namespace lives as long as somebody has it open. The helpers close theirs
// when the test ends, and the kernel takes away what was inside: nothing is
// left on the host, not even by a test that was killed. All of it needs root;
// see testutil.Root.
package netns
