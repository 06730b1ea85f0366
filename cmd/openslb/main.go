// Command openslb is a self-hosted load balancer that speaks the API of
// Alibaba Cloud SLB, version 2014-05-15, with the tools around it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// The exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// streams are what a command may read and write.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

func main() {
	signals := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup would have it
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, restore := signal.NotifyContext(context.Background(), signals...)
	// The first signal asks for an orderly end. From then on signals have their
	// usual effect again, so that a second one ends the process at once.
	context.AfterFunc(ctx, restore)
	os.Exit(run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

// run parses and runs one command line and returns the exit code. Errors have
// been written to s.err.
func run(ctx context.Context, args []string, s streams) int {
	err := execute(ctx, args, s)
	var usage *usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintf(s.err, "openslb: %v\nSee: %s\n", err, usage.help)
		return exitUsage
	default:
		fmt.Fprintf(s.err, "openslb: %v\n", err)
		return exitFailure
	}
}

// helpCommand is the command line whose output explains the command in ctx.
func helpCommand(ctx *kong.Context) string {
	if ctx != nil && ctx.Selected() != nil {
		return ctx.Selected().FullPath() + " --help"
	}
	return "openslb --help"
}
