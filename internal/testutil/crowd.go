package testutil

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"testing"
)

// crowdVariable marks the process that a crowd runs in.
const crowdVariable = "OPENSLB_TEST_CROWD"

// Crowd is thousands of connections with the servers behind them, in a process
// of their own with a limit of descriptors of its own: what is under test keeps
// all of its. A package that uses it calls CrowdMain in its TestMain.
type Crowd struct {
	// Echo are servers that send back what they get; Flood are servers at the same
	// addresses that send without end to whoever sends something.
	Echo, Flood []netip.AddrPort

	t     testing.TB
	child *Child
}

// CrowdReport is what a crowd tells after each command.
type CrowdReport struct {
	Open   int    // connections to echo servers that have done an exchange
	Stalls int    // connections that read nothing
	Good   int    // exchanges, or connects, of this command
	Faults int    // failures since the command before
	First  string // the first of them
}

// CrowdMain runs the crowd in the process that is for it, and returns at once
// in any other.
func CrowdMain() {
	if os.Getenv(crowdVariable) == "" {
		return
	}
	if err := runCrowd(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "crowd:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// StartCrowd starts a process with servers at n addresses. It ends with the test.
func StartCrowd(t testing.TB, n int) *Crowd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), crowdVariable+"=1", "GOMAXPROCS=1")
	c := &Crowd{t: t, child: StartChild(t, "the crowd", cmd)}
	var at crowdServers
	c.child.Ask(t, crowdCommand{Do: "serve", N: n}, &at)
	c.Echo, c.Flood = at.Echo, at.Flood
	return c
}

// Connect opens n connections, each of which does one exchange.
func (c *Crowd) Connect(addr netip.AddrPort, n int) CrowdReport {
	c.t.Helper()
	return c.report(crowdCommand{Do: "connect", N: n, Addr: addr})
}

// Exchange has every connection do one exchange.
func (c *Crowd) Exchange() CrowdReport {
	c.t.Helper()
	return c.report(crowdCommand{Do: "exchange"})
}

// Stall opens n connections to a flooding service and reads nothing of what comes.
func (c *Crowd) Stall(addr netip.AddrPort, n int) CrowdReport {
	c.t.Helper()
	return c.report(crowdCommand{Do: "stall", N: n, Addr: addr})
}

// Close closes n of the connections that exchange.
func (c *Crowd) Close(n int) CrowdReport {
	c.t.Helper()
	return c.report(crowdCommand{Do: "close", N: n})
}

func (c *Crowd) report(cmd crowdCommand) (r CrowdReport) {
	c.t.Helper()
	c.child.Ask(c.t, cmd, &r)
	return r
}
