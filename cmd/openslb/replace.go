package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"time"

	"github.com/openslb/openslb/internal/node"
)

// program is the path of the file that this process was started from. Asked
// later, the system would tell where that file is by then, and not what has come
// in its place.
var program, programError = os.Executable()

// startSuccessor starts the program anew, from the file it was started from,
// which may be another one by now, to take over from this process. If it fails
// this process goes on.
func startSuccessor(s streams, logger *slog.Logger) {
	if programError != nil {
		logger.Error("cannot replace this process", "error", programError)
		return
	}
	cmd := exec.Command(program, os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), "OPENSLB_TAKE_OVER=true")
	cmd.Stdout, cmd.Stderr = s.out, s.err
	if err := cmd.Start(); err != nil {
		logger.Error("cannot replace this process", "error", err)
		return
	}
	logger.Info("started a process to take over", "process", cmd.Process.Pid, "program", program)
	go func() {
		// It outlives this process unless it fails.
		if err := cmd.Wait(); err != nil {
			logger.Error("the process that was to take over has ended", "process", cmd.Process.Pid, "cause", err)
		}
	}()
}

// depart ends a process that was replaced, as soon as its connections have ended.
func (c *serveCmd) depart(ctx context.Context, n *node.Node, logger *slog.Logger) error {
	notify(logger, fmt.Sprintf("MAINPID=%d", n.Successor()))
	begun := time.Now()
	drain, cancel := context.WithTimeout(ctx, c.HandoverDrain)
	defer cancel()
	left := n.Depart(drain)
	logger.Info("leaving", "connections_left", left, "after", time.Since(begun).Round(time.Millisecond).String())
	limit := c.DrainTimeout
	if ctx.Err() == nil {
		limit = time.Second // they have had their time
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	if err := n.Stop(stop); err != nil {
		// That connections are cut in the end is as it was asked for.
		logger.Warn("not all ended in good order", "error", err)
	}
	return nil
}
