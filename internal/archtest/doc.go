// Package archtest checks the shape of the source tree: which package may
// import which, that each package explains itself once, and a few habits that
// are cheaper to test than to remember.
//
// The checker opens every source file itself. That is on purpose: the go
// command's test cache only notices files that the test opened, so that a test
// asking a child process about the imports would go on answering from the cache
// after a forbidden import was added.
package archtest
