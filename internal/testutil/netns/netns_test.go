package netns

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/testutil"
)

func TestMain(m *testing.M) {
	if err := Isolate(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// pair is two hosts with a cable between them.
func pair(t *testing.T) (a, b *NS) {
	a, b = New(t, "a"), New(t, "b")
	Join(a, "to-b", b, "to-a")
	a.Address("to-b", "10.255.0.1/24", "fd00:255::1/64")
	b.Address("to-a", "10.255.0.2/24", "fd00:255::2/64")
	return a, b
}

// dial tries to connect from n within some time.
func dial(n *NS, addr string, patience time.Duration) (err error) {
	n.Do(func() {
		var c net.Conn
		if c, err = net.DialTimeout("tcp", addr, patience); err == nil {
			c.Close()
		}
	})
	return err
}

func TestPacketsTravel(t *testing.T) {
	testutil.Root(t)
	a, b := pair(t)
	for _, addr := range []string{"10.255.0.2:7", "[fd00:255::2]:7"} {
		var l net.Listener
		var err error
		b.Do(func() { l, err = net.Listen("tcp", addr) })
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if err := dial(a, addr, 10*time.Second); err != nil {
			t.Errorf("from a: %v", err)
		}
		if err := dial(Here(t), addr, 100*time.Millisecond); err == nil {
			t.Errorf("%s can be reached from this process", addr)
		}
	}
}

func TestLinkAndBlackHole(t *testing.T) {
	testutil.Root(t)
	a, b := pair(t)
	const addr = "10.255.0.2:7"
	var l net.Listener
	b.Do(func() { l, _ = net.Listen("tcp", addr) })
	defer l.Close()
	for name, fault := range map[string]func() (end func()){
		"link down":  func() func() { b.Down("to-a"); return func() { b.Up("to-a") } },
		"black hole": b.BlackHole,
	} {
		end := fault()
		if err := dial(a, addr, 200*time.Millisecond); err == nil {
			t.Errorf("%s: connected", name)
		}
		end()
		if err := dial(a, addr, 20*time.Second); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
	}
}

// A thread comes back from a visit, also from one that ends by Goexit.
func TestThreadsComeBack(t *testing.T) {
	testutil.Root(t)
	a, _ := pair(t)
	for range 20 {
		done := make(chan struct{})
		go func() {
			defer close(done)
			a.Do(func() {
				if _, err := net.InterfaceByName("to-b"); err != nil {
					t.Error(err)
				}
				runtime.Goexit()
			})
			t.Error("a visit that ended its goroutine came back")
		}()
		<-done
		if _, err := net.InterfaceByName("to-b"); err == nil {
			t.Fatal("this goroutine is on a thread that did not come back")
		}
	}
}

func TestProcessStartsInside(t *testing.T) {
	testutil.Root(t)
	a, _ := pair(t)
	cmd := exec.Command(testutil.Tool(t, "ip"), "-o", "address")
	out := new(strings.Builder)
	cmd.Stdout = out
	a.Start(cmd)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "10.255.0.1/24") {
		t.Errorf("its addresses:\n%s", out)
	}
}
