//go:build race

package system

// raced: the race detector multiplies memory and time.
const raced = true
