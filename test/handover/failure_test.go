package handover

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/handover"
	"github.com/openslb/openslb/internal/testutil"
)

// The environment makes this program play a new process that does not do well:
// it goes on to a step and then hangs, or is killed.
const (
	playIn = "HANDOVER_TEST_DIRECTORY"
	playTo = "HANDOVER_TEST_STEP"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(playIn); dir != "" {
		if err := play(dir, os.Getenv(playTo)); err != nil {
			fmt.Println("played", err)
			os.Exit(1)
		}
		return
	}
	var err error
	if workshop, err = os.MkdirTemp("", "handover"); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(workshop)
	os.Exit(code)
}

// play goes on to a step, tells so, and waits to be killed.
func play(dir, to string) error {
	ctx := context.Background()
	c, err := handover.Dial(ctx, dir)
	if err != nil {
		return err
	}
	talk := func(k handover.Kind, body string, want ...handover.Kind) (handover.Kind, error) {
		if err := c.Send(ctx, patience, handover.Message{Kind: k, Body: []byte(body)}); err != nil || len(want) == 0 {
			return 0, err
		}
		m, err := c.Receive(ctx, patience, want...)
		m.Close()
		return m.Kind, err
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"called", func() error { return nil }},
		{"greeted", func() error { _, err := talk(handover.Hello, "{}", handover.Welcome); return err }},
		{"inherited", func() error { _, err := talk(handover.Release, "", handover.Estate); return err }},
		{"held", func() error {
			kind, err := talk(handover.Switch, "", handover.Memory, handover.Frozen)
			for err == nil && kind != handover.Frozen {
				var m handover.Message
				if m, err = c.Receive(ctx, patience, handover.Memory, handover.Frozen); err == nil {
					kind = m.Kind
					m.Close()
				}
			}
			return err
		}},
	} {
		if err := step.do(); err != nil {
			return err
		}
		if step.name == to {
			fmt.Println("played to", to)
			time.Sleep(time.Hour)
		}
	}
	return fmt.Errorf("no step %q", to)
}

// TestNewProcessFails has new processes fail at every step, by dying, by hanging
// and by giving up, under load. The old one goes on, and can be replaced after
// all.
func TestNewProcessFails(t *testing.T) {
	t.Parallel() // most of it is waiting
	w := newWorld(t, "--handover-timeout", "8s")
	ip, id := w.balance()
	l := w.load(ip, id)
	l.goesOn()
	owner := w.owner()
	descriptors := w.descriptors(owner)
	still := func(t *testing.T) {
		t.Helper()
		l.goesOn()
		if got := w.owner(); got != owner {
			t.Fatalf("process %d has the data directory, want %d", got, owner)
		}
	}
	for _, step := range []string{"called", "greeted", "inherited", "held"} {
		t.Run("killed when "+step, func(t *testing.T) {
			p := w.play(step)
			_ = p.Process.Kill()
			<-p.done
			still(t)
		})
	}
	for _, step := range []string{"inherited", "held"} { // before that nothing is at stake
		t.Run("hangs when "+step, func(t *testing.T) {
			failed := w.log.count("it is killed")
			p := w.play(step)
			<-p.done
			if p.err == nil || p.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Errorf("it has ended by %v", p.err)
			}
			testutil.Eventually(t, patience, "the old process to say so", func() bool { return w.log.count("it is killed") == failed+1 })
			still(t)
		})
	}
	t.Run("too few descriptors", func(t *testing.T) {
		p := w.run("/bin/sh", append([]string{"-c", `ulimit -n 24; exec "$0" "$@" --take-over`, w.bin}, w.flags...)...)
		w.fails(t, p)
		still(t)
	})
	t.Run("fails at the last", func(t *testing.T) {
		// The certificate of the API is looked at when all else is done.
		keep := filepath.Join(w.data, "tls")
		if err := os.Rename(keep, keep+".kept"); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(keep, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		w.fails(t, w.start("--take-over"))
		if err := os.Remove(keep); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(keep+".kept", keep); err != nil {
			t.Fatal(err)
		}
		still(t)
	})
	t.Run("a bad program", func(t *testing.T) {
		good := w.bin + ".good"
		if err := os.Rename(w.bin, good); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(w.bin, []byte("#!/bin/sh\necho cannot be; exit 7\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(owner, syscall.SIGUSR2); err != nil {
			t.Fatal(err)
		}
		testutil.Eventually(t, patience, "the end of the bad program", func() bool { return w.log.count("exit status 7") > 0 })
		still(t)
		if err := os.Rename(good, w.bin); err != nil {
			t.Fatal(err)
		}
	})
	if t.Failed() {
		return
	}
	testutil.Eventually(t, patience, "API and store to have come back after each of six failures", func() bool { return w.log.count("the API is served again") == 6 })
	testutil.Eventually(t, patience, "descriptors to be given back", func() bool { return w.descriptors(owner) <= descriptors+20 })
	w.signalled()
	l.goesOn()
	l.end()
	w.api.HTTP.CloseIdleConnections()
	w.gone()
}

// play starts a process that goes on to a step.
func (w *world) play(step string) *started {
	w.t.Helper()
	before := w.log.count("played to")
	p := w.runIn([]string{playIn + "=" + w.data, playTo + "=" + step}, os.Args[0])
	testutil.Eventually(w.t, patience, "a process that has come to "+step, func() bool { return w.log.count("played") > before })
	if w.log.count("played to") == before {
		w.t.Fatal("it has not come so far")
	}
	return p
}

// fails waits for the end of a process, which must be a bad one.
func (w *world) fails(t *testing.T, p *started) {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
	if _, ok := p.err.(*exec.ExitError); !ok {
		t.Errorf("it ended by %v", p.err)
	}
}

// descriptors counts those of a process, but for connections, which come and go.
func (w *world) descriptors(pid int) (n int) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	all, err := os.ReadDir(dir)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range all {
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && !strings.HasPrefix(to, "pipe:") {
			n++
		}
	}
	return n
}
