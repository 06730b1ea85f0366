package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/openslb/openslb/internal/testutil"
)

// TestMain lets scripts run this test binary as openslb.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"openslb": main})
}

// TestScripts runs test/scripts. Beside the usual commands there are
//
//	node start [flag...]   run "openslb serve" on a free port, data in $WORK/data, wait until it serves
//	node stop              end it by SIGTERM and demand that it ends well
//	node kill              end it by SIGKILL
//	noderr REGEXP          demand a match in what the last node wrote to standard error
//	capture NAME REGEXP    set $NAME to the first group's match in the last standard output
//	reply FILE             compare the last standard output with FILE, request and balancer ids, addresses and times replaced
//	sample NAME ID         run an HTTP server that answers ID; $NAME_IP and $NAME_PORT are its address
//	get URL TEXT           fetch through the balancer until TEXT answers
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("..", "..", "test", "scripts"),
		Setup: func(env *testscript.Env) error {
			n := &scriptNode{pool: testutil.AddressPool(t).String()}
			env.Values["node"] = n
			env.Defer(n.end)
			env.Setenv("OPENSLB_DATA", filepath.Join(env.WorkDir, "data"))
			env.Setenv("HOME", env.WorkDir)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"node":    cmdNode,
			"noderr":  cmdNodeErr,
			"capture": cmdCapture,
			"reply":   cmdReply,
			"sample":  func(ts *testscript.TestScript, neg bool, args []string) { cmdSample(t, ts, neg, args) },
			"get":     cmdGet,
		},
	})
}

// scriptNode is the node of one script.
type scriptNode struct {
	pool   string
	cmd    *exec.Cmd
	stderr *strings.Builder // to be read when cmd has ended
}

func (n *scriptNode) end() {
	if n.cmd != nil {
		_ = n.cmd.Process.Kill()
		_ = n.cmd.Wait()
		n.cmd = nil
	}
}

func cmdNode(ts *testscript.TestScript, neg bool, args []string) {
	n := ts.Value("node").(*scriptNode)
	if neg || len(args) == 0 {
		ts.Fatalf("usage: node start|stop|kill")
	}
	switch args[0] {
	case "start":
		n.start(ts, args[1:])
	case "stop", "kill":
		if n.cmd == nil {
			ts.Fatalf("the node does not run")
		}
		signal := syscall.SIGTERM
		if args[0] == "kill" {
			signal = syscall.SIGKILL
		}
		ts.Check(n.cmd.Process.Signal(signal))
		err := n.cmd.Wait()
		n.cmd = nil
		if args[0] == "stop" && err != nil {
			ts.Fatalf("the node ended badly: %v", err)
		}
	default:
		ts.Fatalf("unknown: node %s", args[0])
	}
}

// start runs the node until its ready line, from which the endpoint is taken.
func (n *scriptNode) start(ts *testscript.TestScript, flags []string) {
	path, err := exec.LookPath("openslb")
	ts.Check(err)
	n.cmd = exec.Command(path, append([]string{"serve", "--data", ts.Getenv("OPENSLB_DATA"), "--listen", "127.0.0.1:0",
		"--internet-pool", n.pool, "--log-level", "warn"}, flags...)...)
	n.cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"))
	out, err := n.cmd.StdoutPipe()
	ts.Check(err)
	stderr := &strings.Builder{}
	n.cmd.Stderr, n.stderr = stderr, stderr
	ts.Check(n.cmd.Start())
	ready := make(chan string, 1)
	go func() {
		defer close(ready)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if rest, ok := strings.CutPrefix(lines.Text(), "ready endpoint="); ok {
				endpoint, _, _ := strings.Cut(rest, " ")
				ready <- endpoint
			}
		}
	}()
	select {
	case endpoint, ok := <-ready:
		if !ok {
			_ = n.cmd.Wait()
			n.cmd = nil
			ts.Fatalf("the node ended before it was ready: %s", stderr)
		}
		ts.Setenv("OPENSLB_ENDPOINT", endpoint)
		ts.Setenv("ENDPOINT", endpoint)
	case <-time.After(30 * time.Second):
		ts.Fatalf("the node is not ready: %s", stderr)
	}
}

func cmdNodeErr(ts *testscript.TestScript, neg bool, args []string) {
	n := ts.Value("node").(*scriptNode)
	if neg || len(args) != 1 || n.cmd != nil || n.stderr == nil {
		ts.Fatalf("usage: noderr REGEXP, when a node has ended")
	}
	re, err := regexp.Compile(args[0])
	ts.Check(err)
	if !re.MatchString(n.stderr.String()) {
		ts.Fatalf("no match for %s in: %s", args[0], n.stderr)
	}
}

func cmdCapture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture NAME REGEXP")
	}
	re, err := regexp.Compile(args[1])
	ts.Check(err)
	m := re.FindStringSubmatch(ts.ReadFile("stdout"))
	if len(m) < 2 {
		ts.Fatalf("no match for %s in the last output", args[1])
	}
	ts.Setenv(args[0], m[1])
}

// varying replaces what differs from run to run.
var varying = []struct {
	re   *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}`), "REQUEST-ID"},
	{regexp.MustCompile(`lb-[0-9a-z]{21}`), "LB-ID"},
	{regexp.MustCompile(`127\.[0-9]{2,3}\.[0-9]+\.[0-9]+`), "ADDRESS"},
	{regexp.MustCompile(`20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z`), "TIME"},
	{regexp.MustCompile(`("CreateTimeStamp": ?)[0-9]+`), "${1}0"},
}

func cmdReply(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: reply FILE")
	}
	got := ts.ReadFile("stdout")
	for _, v := range varying {
		got = v.re.ReplaceAllString(got, v.with)
	}
	want := ts.ReadFile(args[0])
	if strings.TrimSpace(got) != strings.TrimSpace(want) {
		ts.Fatalf("reply differs from %s\ngot:\n%s\nwant:\n%s", args[0], got, want)
	}
}

func cmdSample(t *testing.T, ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args)%2 != 0 {
		ts.Fatalf("usage: sample NAME ID [NAME ID]...")
	}
	var ids []string
	for i := 1; i < len(args); i += 2 {
		ids = append(ids, args[i])
	}
	for i, s := range testutil.HTTPServers(t, ids...) {
		ts.Setenv(args[2*i]+"_IP", s.Addr().Addr().String())
		ts.Setenv(args[2*i]+"_PORT", fmt.Sprint(s.Addr().Port()))
	}
}
