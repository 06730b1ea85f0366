// Package handover replaces real processes of a node by each other under load of
// every kind, and watches what clients would notice.
package handover

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/client"
	"github.com/openslb/openslb/internal/node"
	"github.com/openslb/openslb/internal/testutil"
)

const patience = 60 * time.Second

// workshop is a directory for the program, which all tests use.
var workshop string

// build builds the program once, with the race detector if the test has it.
var build = sync.OnceValues(func() (string, error) {
	return testutil.BuildProgram(workshop, raceEnabled)
})

// world is one data directory and the processes that serve it in turn.
type world struct {
	t         *testing.T
	bin, data string
	flags     []string
	api       client.Client
	log       *lines // of all processes

	mu        sync.Mutex
	processes []int // that served, the last one serves
}

// lines collects what processes write.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) read(r io.Reader) {
	for s := bufio.NewScanner(r); s.Scan(); {
		l.mu.Lock()
		l.all = append(l.all, s.Text())
		l.mu.Unlock()
	}
}

// with gives the lines that have the text.
func (l *lines) with(text string) (out []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.all {
		if strings.Contains(line, text) {
			out = append(out, line)
		}
	}
	return out
}

// count tells how many lines have the text.
func (l *lines) count(text string) int { return len(l.with(text)) }

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "\n")
}

func newWorld(t *testing.T, flags ...string) *world {
	t.Helper()
	built, err := build()
	if err != nil {
		t.Fatal(err)
	}
	// A test may put another program in the place of its own.
	bin := filepath.Join(t.TempDir(), "openslb")
	if err := os.Link(built, bin); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, bin: bin, data: t.TempDir(), log: &lines{}}
	w.flags = append([]string{"serve", "--dev", "--data", w.data, "--listen", "127.0.0.1:0", "--internet-pool", testutil.AddressPool(t).String(), "--log-format", "json"}, flags...)
	t.Cleanup(func() {
		w.end()
		if t.Failed() {
			t.Logf("what the processes wrote:\n%s", w.log)
		}
	})
	w.serves(w.start())
	c, err := node.ReadCredentials(w.data)
	if err != nil {
		t.Fatal(err)
	}
	w.api = client.Client{Endpoint: c.Endpoint, KeyID: node.DevKeyID, Secret: node.DevKeySecret, Region: node.DefaultRegion,
		HTTP: &http.Client{Transport: &http.Transport{}, Timeout: patience}}
	t.Cleanup(w.api.HTTP.CloseIdleConnections)
	return w
}

// started is a process that this one has started.
type started struct {
	*exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // then
}

// start runs the program. All it writes goes to the log of the world.
func (w *world) start(more ...string) *started { return w.run(w.bin, append(w.flags, more...)...) }

func (w *world) run(program string, args ...string) *started { return w.runIn(nil, program, args...) }

func (w *world) runIn(environment []string, program string, args ...string) *started {
	w.t.Helper()
	p := &started{Cmd: exec.Command(program, args...), done: make(chan struct{})}
	p.Env = append(os.Environ(), environment...)
	r, out, err := os.Pipe()
	if err != nil {
		w.t.Fatal(err)
	}
	p.Stdout, p.Stderr = out, out
	if err := p.Start(); err != nil {
		w.t.Fatal(err)
	}
	out.Close()
	go w.log.read(r)
	go func() {
		p.err = p.Wait()
		close(p.done)
	}()
	return p
}

// serves waits until the process serves.
func (w *world) serves(p *started) {
	w.t.Helper()
	w.servesNow(p.Process.Pid)
}

func (w *world) servesNow(pid int) {
	w.t.Helper()
	w.mu.Lock()
	ready := len(w.processes) + 1
	w.processes = append(w.processes, pid)
	w.mu.Unlock()
	testutil.Eventually(w.t, patience, "a process that is ready", func() bool { return w.log.count("ready endpoint=") >= ready })
	if got := w.owner(); pid != 0 && got != pid {
		w.t.Fatalf("process %d has the data directory, want %d", got, pid)
	} else if pid == 0 {
		w.mu.Lock()
		w.processes[ready-1] = got
		w.mu.Unlock()
	}
}

// owner is the process that has the data directory, as the lock file says.
func (w *world) owner() int {
	b, err := os.ReadFile(filepath.Join(w.data, "lock"))
	if err != nil {
		w.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		w.t.Fatal(err)
	}
	return pid
}

// takeOver replaces the process that serves by one that is started by hand.
func (w *world) takeOver(more ...string) *started {
	w.t.Helper()
	p := w.start(append(more, "--take-over")...)
	w.serves(p)
	return p
}

// signalled has the process that serves replace itself.
func (w *world) signalled() {
	w.t.Helper()
	if err := syscall.Kill(w.owner(), syscall.SIGUSR2); err != nil {
		w.t.Fatal(err)
	}
	w.servesNow(0)
}

// end ends all processes that served.
func (w *world) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, pid := range w.processes {
		if alive(pid) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// alive reports whether a process runs; one that is dead and waits to be looked
// after does not.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, ok := strings.Cut(string(b), ") ")
	return ok && !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

// gone waits for the end of all processes but the last.
func (w *world) gone() {
	w.t.Helper()
	w.mu.Lock()
	former := append([]int(nil), w.processes[:len(w.processes)-1]...)
	w.mu.Unlock()
	for _, pid := range former {
		testutil.Eventually(w.t, patience, fmt.Sprintf("the end of process %d", pid), func() bool { return !alive(pid) })
	}
}

// call makes an API call that must succeed.
func (w *world) call(action string, out any, pairs ...any) {
	w.t.Helper()
	if err := w.try(w.api, action, out, pairs...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) try(api client.Client, action string, out any, pairs ...any) error {
	params := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		params[pairs[i].(string)] = fmt.Sprint(pairs[i+1])
	}
	switch action {
	case "RegisterServer", "SetListenerBackendProtocol":
		api.Version = "2026-11-01"
	}
	if err := api.Do(w.t.Context(), action, params, out); err != nil {
		return fmt.Errorf("%s %v: %w", action, pairs, err)
	}
	return nil
}
