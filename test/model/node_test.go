// Package model compares a whole node with a model of its resources: random
// calls one after the other, the same with the process killed in between, and
// many at once, where the answers must be those of some serial order.
package model

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/client"
	"github.com/openslb/openslb/internal/node"
	"github.com/openslb/openslb/internal/testutil"
)

// asNode makes the test binary a node; its value is the data directory and the
// pool.
const asNode = "OPENSLB_MODEL_NODE"

func TestMain(m *testing.M) {
	if at := os.Getenv(asNode); at != "" {
		if err := serve(at); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	given := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	// Ids differ from run to run, so that a file of draws would not repeat much.
	for name, value := range map[string]string{"rapid.checks": defaultChecks, "rapid.steps": "40", "rapid.nofailfile": "true", "rapid.shrinktime": "10s"} {
		if !given[name] {
			if err := flag.Set(name, value); err != nil {
				panic(err)
			}
		}
	}
	os.Exit(m.Run())
}

// defaultChecks is the number of rapid's runs of a test.
const defaultChecks = "100"

// config is a node with one pool.
func config(data string, pool netip.Prefix) node.Config {
	return node.Config{Data: data, Listen: "127.0.0.1:0", Dev: true, InternetPool: []netip.Prefix{pool}}
}

// serve runs a node until the process is killed or its input ends.
func serve(at string) error {
	data, pool, _ := strings.Cut(at, "|")
	prefix, err := netip.ParsePrefix(pool)
	if err != nil {
		return err
	}
	n, err := node.Start(context.Background(), config(data, prefix))
	if err != nil {
		return err
	}
	fmt.Println("ready " + n.Endpoint())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// system is a node under test.
type system struct {
	t        testing.TB
	endpoint string
	http     *http.Client
}

func newSystem(t testing.TB, endpoint string) *system {
	s := &system{t: t, endpoint: endpoint, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}, Timeout: 30 * time.Second}}
	t.Cleanup(s.http.CloseIdleConnections)
	return s
}

// register puts the servers of the model into the register.
func (s *system) register() {
	s.t.Helper()
	for i, id := range []string{"i-1", "i-2", "i-3", "i-4"} {
		c := client.Client{Endpoint: s.endpoint, KeyID: node.DevKeyID, Secret: node.DevKeySecret, HTTP: s.http, Version: "2026-11-01"}
		if err := c.Do(context.Background(), "RegisterServer", map[string]string{"ServerId": id, "Address.1": fmt.Sprintf("127.0.0.%d", i+2)}, nil); err != nil {
			s.t.Fatal(err)
		}
	}
}

// startNode runs a node in this process.
func startNode(t testing.TB) *system {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	n, err := node.Start(ctx, config(t.TempDir(), testutil.AddressPool(t)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := n.Stop(ctx); err != nil {
			t.Errorf("stop the node: %v", err)
		}
	})
	s := newSystem(t, n.Endpoint())
	s.register()
	return s
}

// process is a node in a process of its own, which survives being killed.
type process struct {
	*system
	at  string
	cmd *exec.Cmd
	in  io.Closer
}

func startProcess(t testing.TB) *process {
	t.Helper()
	p := &process{at: t.TempDir() + "|" + testutil.AddressPool(t).String()}
	p.start(t)
	t.Cleanup(p.kill)
	p.system = newSystem(t, p.endpoint())
	p.register()
	return p
}

func (p *process) endpoint() string { return p.system.endpoint }

func (p *process) start(t testing.TB) {
	t.Helper()
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), asNode+"="+p.at)
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in = in
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	endpoint, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if err != nil || !ok {
		t.Fatalf("the node says %q: %v", line, err)
	}
	if p.system == nil {
		p.system = &system{}
	}
	p.system.endpoint = endpoint
}

// kill ends the process as a power cut would, seen from its files.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	p.in.Close()
}

// send makes a call in a format, JSON or XML.
func (s *system) send(format string, c call) (answer, error) {
	api := client.Client{Endpoint: s.endpoint, KeyID: node.DevKeyID, Secret: node.DevKeySecret, Region: node.DefaultRegion, HTTP: s.http, Format: format}
	body, err := api.Call(context.Background(), c.action, c.params)
	parse := parseJSON
	if format == "XML" {
		parse = parseXML
	}
	t, parseErr := parse(body)
	if parseErr != nil {
		if err != nil {
			return answer{}, fmt.Errorf("%v: %w", c, err)
		}
		return answer{}, fmt.Errorf("%v: %w", c, parseErr)
	}
	a := answer{status: http.StatusOK, body: t}
	if e, ok := err.(*client.Error); ok {
		a = answer{status: e.Status, code: t.get("Code"), message: t.get("Message")}
	} else if err != nil {
		return answer{}, fmt.Errorf("%v: %w", c, err)
	}
	return a, nil
}
