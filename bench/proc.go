package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// startPinned starts a command whose threads all run on one core. A child
// inherits the core of the thread that makes it.
func startPinned(cmd *exec.Cmd, core int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var old, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &old); err != nil {
		return fmt.Errorf("read core affinity: %w", err)
	}
	one.Set(core)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("pin to core %d: %w", core, err)
	}
	err := cmd.Start()
	if back := unix.SchedSetaffinity(0, &old); back != nil {
		return errors.Join(err, fmt.Errorf("undo pinning: %w", back))
	}
	return err
}

// end asks a process to stop, then makes it.
func end(cmd *exec.Cmd) {
	if cmd.Process == nil {
		return
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		_ = cmd.Process.Kill()
		<-done
	}
}

// family returns a process and all its descendants.
func family(pid int) []int {
	out := []int{pid}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, t := range tasks {
		text, _ := os.ReadFile(t)
		for _, f := range strings.Fields(string(text)) {
			if c, err := strconv.Atoi(f); err == nil {
				out = append(out, family(c)...)
			}
		}
	}
	return out
}

// clockTick is the unit of CPU times in /proc; Linux fixes it at 100 a second
// for all programs.
const clockTick = 10 * time.Millisecond

// cpuTimes is processor time, and that part of it which is not the kernel's. The
// first is exact; the second is counted in clock ticks.
type cpuTimes struct{ all, user time.Duration }

func (c cpuTimes) since(o cpuTimes) cpuTimes { return cpuTimes{c.all - o.all, c.user - o.user} }

// cpuTime is that of all threads of a process and its descendants, living ones
// only.
func cpuTime(pid int) cpuTimes {
	var sum cpuTimes
	for _, p := range family(pid) {
		var exact unix.Timespec
		if unix.ClockGettime(cpuClock(p), &exact) != nil {
			continue // it has ended
		}
		sum.all += time.Duration(exact.Nano())
		if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p)); err == nil {
			sum.user += parseStat(string(text))
		}
	}
	return sum
}

// cpuClock names the clock that runs while any thread of a process does, as
// clock_getcpuclockid(3) makes it.
func cpuClock(pid int) int32 {
	const byScheduler = 2 // rather than by ticks
	return ^int32(pid)<<3 | byScheduler
}

// parseStat reads utime, field 14. The second field is the command's name in
// parentheses and may hold anything.
func parseStat(line string) time.Duration {
	_, rest, ok := cutLast(line, ")")
	f := strings.Fields(rest)
	if !ok || len(f) < 12 {
		return 0
	}
	user, _ := strconv.ParseInt(f[11], 10, 64)
	return time.Duration(user) * clockTick
}

// busyTime is the time that all cores together were not idle, by whomever.
func busyTime() time.Duration {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return parseBusy(line)
}

// parseBusy adds up the first line of /proc/stat without idle and iowait, and
// without guest times, which user time has already.
func parseBusy(line string) time.Duration {
	f := strings.Fields(line)
	var sum time.Duration
	for i := 1; i < min(len(f), 9); i++ {
		if i == 4 || i == 5 {
			continue
		}
		n, _ := strconv.ParseInt(f[i], 10, 64)
		sum += time.Duration(n) * clockTick
	}
	return sum
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// memoryOf is the proportional set size of a process and its descendants in
// bytes.
func memoryOf(pid int) (int64, error) {
	var sum int64
	for _, p := range family(pid) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p))
		if err != nil {
			return 0, fmt.Errorf("read memory: %w", err)
		}
		sum += parsePSS(string(text))
	}
	return sum, nil
}

func parsePSS(text string) int64 {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			f := strings.Fields(rest)
			if len(f) == 2 && f[1] == "kB" {
				n, _ := strconv.ParseInt(f[0], 10, 64)
				return n * 1024
			}
		}
	}
	return 0
}

// helper is a child of ours that speaks lines on its standard output.
type helper struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
}

func startHelper(ctx context.Context, at host, core int, args ...string) (*helper, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{"child"}, args...)...)
	cmd.Stderr = os.Stderr
	// One thread does the work. The collector would only add noise.
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=400")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := at.do(func() error { return startPinned(cmd, core) }); err != nil {
		return nil, err
	}
	return &helper{cmd: cmd, in: in, lines: bufio.NewScanner(out)}, nil
}

func (h *helper) line() (string, error) {
	if !h.lines.Scan() {
		if err := h.lines.Err(); err != nil {
			return "", err
		}
		return "", io.ErrUnexpectedEOF
	}
	return h.lines.Text(), nil
}

// expect reads one line and demands that it is the given word.
func (h *helper) expect(word string) error {
	got, err := h.line()
	if err != nil {
		return fmt.Errorf("helper ended instead of saying %q: %w", word, err)
	}
	if got != word {
		return fmt.Errorf("helper said %q instead of %q", got, word)
	}
	return nil
}

func (h *helper) stop() {
	h.in.Close() // an idle load ends with its input
	end(h.cmd)
}

// backendProc is the running backend helper.
type backendProc struct {
	*helper
	addrs backendAddrs
}

func startBackend(ctx context.Context, s settings) (*backendProc, error) {
	args := []string{"backend"}
	for _, a := range s.net.backends {
		args = append(args, a.String())
	}
	h, err := startHelper(ctx, s.net.server, s.loadCPU, args...)
	if err != nil {
		return nil, err
	}
	b := &backendProc{helper: h}
	line, err := h.line()
	if err == nil {
		err = json.Unmarshal([]byte(line), &b.addrs)
	}
	if err != nil {
		h.stop()
		return nil, err
	}
	return b, nil
}

// loadProc is a running load helper.
type loadProc struct {
	*helper
	backend bool // it is the backend helper
}

// startLoad has a job done: by the backends themselves where they can.
func startLoad(ctx context.Context, s settings, b *backendProc, job loadJob) (*loadProc, error) {
	job.Source = s.net.sources
	text, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	if !s.netns && !job.Idle && !job.Mode.secure() {
		_, err := b.in.Write(text)
		return &loadProc{b.helper, true}, err
	}
	h, err := startHelper(ctx, s.net.client, s.loadCPU, "load", string(text))
	if err != nil {
		return nil, fmt.Errorf("start load: %w", err)
	}
	return &loadProc{h, false}, nil
}

func (l *loadProc) stop() {
	if !l.backend {
		l.helper.stop()
	}
}

func (l *loadProc) result() (loadResult, error) {
	var r loadResult
	line, err := l.line()
	if err != nil {
		return r, fmt.Errorf("load ended early: %w", err)
	}
	return r, json.Unmarshal([]byte(line), &r)
}

// backendAddrs is where the backends listen: two addresses, one port each for
// HTTP, echo (over UDP as well) and bulk.
type backendAddrs struct {
	Hosts            []netip.Addr
	HTTP, Echo, Bulk uint16
}
