package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/openslb/openslb/internal/node"
	"github.com/openslb/openslb/internal/quickstart"
)

type quickstartCmd struct {
	Data     string `help:"Keep the node's data here; without it, in a temporary directory that is removed at the end." placeholder:"DIR"`
	Listen   string `help:"host:port of the API; port 0 takes a free one." default:"127.0.0.1:0"`
	Exit     bool   `help:"End when all is shown instead of staying up; the exit code tells whether every claim held."`
	NoColor  bool   `help:"Plain text, also on a terminal (so does the environment variable NO_COLOR)."`
	LogLevel string `help:"Least severe level of the node's log on standard error (${enum})." enum:"debug,info,warn,error" default:"error"`
}

// quickstartDrain bounds the shutdown: nothing of value is under way.
const quickstartDrain = 3 * time.Second

func (c *quickstartCmd) Run(ctx context.Context, s streams) (err error) {
	data, cleanUp, err := c.dataDir()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleanUp()) }()
	logger, err := newLogger(s.err, "auto", c.LogLevel)
	if err != nil {
		return err
	}
	n, err := node.Start(ctx, node.Config{
		Data: data, Listen: c.Listen, InternetPool: loopbackPool(), Version: version(), Logger: logger,
	})
	if err != nil {
		return err
	}
	defer func() {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), quickstartDrain)
		defer cancel()
		err = errors.Join(err, n.Stop(drain))
	}()

	c.introduce(s.out, n)
	result, closeSamples, err := quickstart.Run(ctx, quickstart.Config{
		Command: commandRunner(n),
		Format:  func(answer []byte) []byte { return formatJSON(answer, terminalWidth(s.out)) },
		Quote:   shellQuote,
		Out:     s.out,
		Color:   !c.NoColor && os.Getenv("NO_COLOR") == "" && isTerminal(s.out),
	})
	defer closeSamples()
	if err != nil {
		return fmt.Errorf("quickstart failed: %w", err)
	}
	fmt.Fprintf(s.out, "\nAll %d claims were checked against real answers and real traffic, and hold.\n", result.Claims)
	if c.Exit {
		return nil
	}
	fmt.Fprintf(s.out, `
The node and three of the sample servers stay up until Ctrl-C.

  balancer         %s  (%s; TCP listener at %s)
  API endpoint     %s
  AccessKeyId      %s
  AccessKeySecret  %s
  CA certificate   %s
`, result.HTTPURL, result.LoadBalancerID, result.TCPAddr,
		n.Endpoint(), n.Credentials().KeyID, n.Credentials().Secret, n.CAFile())
	printClients(s.out, n, n.Credentials().Secret)
	select {
	case <-ctx.Done():
		return nil
	case <-n.Failed():
		return errors.New("the node has ended by itself")
	}
}

// dataDir is the directory to use and what to do with it at the end.
func (c *quickstartCmd) dataDir() (dir string, cleanUp func() error, err error) {
	if c.Data != "" {
		dir, err = filepath.Abs(c.Data)
		return dir, func() error { return nil }, err
	}
	dir, err = os.MkdirTemp("", "openslb-quickstart-")
	return dir, func() error { return os.RemoveAll(dir) }, err
}

// loopbackPool is a network of loopback addresses that hardly anybody else
// uses, so that the quickstart does not meet another node on this machine.
// 127.0 to 127.2 have other uses.
func loopbackPool() []netip.Prefix {
	addr := netip.AddrFrom4([4]byte{127, byte(3 + rand.IntN(250)), byte(rand.IntN(256)), 0})
	return []netip.Prefix{netip.PrefixFrom(addr, 24)}
}

// commandRunner runs a command line as if it had been typed with the node's
// data directory in the environment.
func commandRunner(n *node.Node) func(context.Context, ...string) ([]byte, error) {
	return func(ctx context.Context, words ...string) ([]byte, error) {
		var out bytes.Buffer
		args := append(words[:len(words):len(words)],
			"--data", n.Data(), "--endpoint", n.Endpoint(), "--region", n.Credentials().Region)
		err := execute(ctx, args, streams{in: bytes.NewReader(nil), out: &out, err: io.Discard})
		return out.Bytes(), err
	}
}

func (c *quickstartCmd) introduce(w io.Writer, n *node.Node) {
	fate := "kept"
	if c.Data == "" {
		fate = "removed at the end"
	}
	fmt.Fprintf(w, "OpenSLB %s: a node at %s, data in %s (%s).\n", version(), n.Endpoint(), n.Data(), fate)
	if exe, err := os.Executable(); err == nil {
		fmt.Fprintf(w, "To type the commands below yourself, in another terminal first:\n\n  alias openslb=%s\n  export OPENSLB_DATA=%s\n",
			shellQuote(exe), shellQuote(n.Data()))
	}
}
