package netns

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// NS is a network namespace: one host as far as the network is concerned.
type NS struct {
	Name string

	t     testing.TB
	fd    netns.NsHandle
	links *netlink.Handle // speaks to the kernel inside of it
}

// isolated marks the process that Isolate has started.
const isolated = "OPENSLB_TEST_ISOLATED"

// Isolate moves the whole process into a fresh namespace, by executing it anew.
// It is for TestMain, before anything else runs, in packages whose own process
// is one of the hosts: a running Go program cannot move all of its threads. It
// does nothing without the rights to, where tests will be skipped by
// testutil.Root. The loopback interface is up.
func Isolate() error {
	if os.Geteuid() != 0 {
		return nil
	}
	if os.Getenv(isolated) != "" {
		return netlink.LinkSetUp(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: 1, Name: "lo"}})
	}
	runtime.LockOSThread() // until the process is another
	defer runtime.UnlockOSThread()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	switch err := syscall.Unshare(syscall.CLONE_NEWNET); {
	case errors.Is(err, syscall.EPERM): // root in a container
		return nil
	case err != nil:
		return fmt.Errorf("make a network namespace: %w", err)
	}
	return fmt.Errorf("execute %s: %w", self, syscall.Exec(self, os.Args, append(os.Environ(), isolated+"=1")))
}

// Here is the namespace of this process. It refuses the host's own, whose
// addresses and filters are nobody's to change: TestMain has to call Isolate.
func Here(t testing.TB) *NS {
	t.Helper()
	if os.Getenv(isolated) == "" {
		t.Fatal("this process is in the host's network namespace: TestMain has to call Isolate")
	}
	fd, err := netns.Get()
	if err != nil {
		t.Fatalf("open this network namespace: %v", err)
	}
	return adopt(t, "here", fd)
}

// New makes an empty namespace with its loopback interface up.
func New(t testing.TB, name string) *NS {
	t.Helper()
	var (
		fd  netns.NsHandle
		err error
	)
	// The thread is in the new namespace when it is made: it comes back as after
	// any other visit, or is given up.
	visit(func() error { return nil }, func() { fd, err = netns.New() })
	if err != nil {
		t.Fatalf("make a network namespace: %v", err)
	}
	return adopt(t, name, fd)
}

func adopt(t testing.TB, name string, fd netns.NsHandle) *NS {
	t.Helper()
	n := &NS{Name: name, t: t, fd: fd}
	links, err := netlink.NewHandleAt(fd, syscall.NETLINK_ROUTE)
	if err != nil {
		fd.Close()
		t.Fatalf("open netlink in namespace %s: %v", name, err)
	}
	n.links = links
	t.Cleanup(func() {
		links.Close()
		fd.Close()
	})
	n.Up("lo")
	return n
}

// Do runs fn inside the namespace, on a thread that is locked for the time, and
// waits for it. Sockets that fn opens stay there for good; goroutines that fn
// starts run elsewhere. A test that fn ends, by Fatal and the like, ends.
func (n *NS) Do(fn func()) {
	n.t.Helper()
	if err := visit(func() error { return netns.Set(n.fd) }, fn); err != nil {
		n.t.Fatalf("enter namespace %s: %v", n.Name, err)
	}
}

// visit calls enter and fn on a thread of their own and brings the thread back
// to where it came from. One that cannot come back ends with its goroutine.
func visit(enter func() error, fn func()) (err error) {
	finished := false
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		home, homeErr := netns.Get()
		if homeErr != nil {
			err, finished = homeErr, true
			return
		}
		defer home.Close()
		if err = enter(); err == nil {
			defer func() {
				if netns.Set(home) == nil {
					runtime.UnlockOSThread()
				}
			}()
			fn()
		}
		finished = true
	}()
	<-done
	if !finished {
		runtime.Goexit() // fn ended the test
	}
	return err
}

// Start starts a program inside the namespace. It is killed at the end of the
// test unless it has ended; its standard error is the test's.
func (n *NS) Start(cmd *exec.Cmd) {
	n.t.Helper()
	if cmd.Stderr == nil {
		cmd.Stderr = os.Stderr
	}
	var err error
	n.Do(func() { err = cmd.Start() }) // a child has the namespace of the thread that forks it
	if err != nil {
		n.t.Fatalf("start %s in namespace %s: %v", filepath.Base(cmd.Path), n.Name, err)
	}
	n.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
}
