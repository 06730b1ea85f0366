// Package handover is how two processes of one node talk while one takes over
// from the other: messages with descriptors over a unix socket in the data
// directory. It knows nothing of what the messages are about.
//
// The talk is strictly by turns, so that a side always knows whose word is next;
// docs/design/0003-handover.md has its course.
package handover
