package handover

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openslb/openslb/internal/testutil"
)

const soon = 10 * time.Second

// pair opens the two ends of a connection in a new directory.
func pair(t *testing.T) (old, young *Conn) {
	t.Helper()
	dir := t.TempDir()
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	young, err = Dial(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if old, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { old.Close(); young.Close() })
	return old, young
}

// descriptors counts those that this process has.
func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestMessagesArriveWhole(t *testing.T) {
	testutil.NoLeaks(t)
	old, young := pair(t)
	for _, c := range []struct {
		name      string
		body, fds int
	}{
		{"empty", 0, 0},
		{"small", 10, 1},
		{"a whole packet", packetMost - headerSize, packetFDs},
		{"one more than a packet", packetMost - headerSize + 1, packetFDs + 1},
		{"many descriptors", 0, 3*packetFDs + 7},
		{"much", 3<<20 + 5, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := descriptors(t)
			body := bytes.Repeat([]byte("0123456789abcde"), c.body/15+1)[:c.body]
			// Each descriptor is a pipe's with a byte that tells which it is.
			var fds []int
			for i := range c.fds {
				var p [2]int
				if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
					t.Fatal(err)
				}
				if _, err := unix.Write(p[1], []byte{byte(i)}); err != nil {
					t.Fatal(err)
				}
				unix.Close(p[1])
				fds = append(fds, p[0])
			}
			sent := make(chan error, 1)
			go func() { sent <- old.Send(context.Background(), soon, Message{Estate, body, fds}) }()
			m, err := young.Receive(t.Context(), soon, Estate)
			if err != nil {
				t.Fatal(err)
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
			closeAll(fds)
			if !bytes.Equal(m.Body, body) || len(m.FDs) != c.fds {
				t.Fatalf("%d bytes and %d descriptors arrived, want %d and %d", len(m.Body), len(m.FDs), c.body, c.fds)
			}
			for i, fd := range m.FDs {
				var b [1]byte
				if _, err := unix.Read(fd, b[:]); err != nil || b[0] != byte(i) {
					t.Fatalf("descriptor %d is another one (%d, %v)", i, b[0], err)
				}
			}
			if flags, err := unix.FcntlInt(uintptr(lastOr(m.FDs, 0)), unix.F_GETFD, 0); c.fds > 0 && (err != nil || flags&unix.FD_CLOEXEC == 0) {
				t.Errorf("a descriptor would be inherited by programs that are started: %v", err)
			}
			m.Close()
			if after := descriptors(t); after != before {
				t.Errorf("%d descriptors before, %d after", before, after)
			}
		})
	}
}

func lastOr(s []int, otherwise int) int {
	if len(s) == 0 {
		return otherwise
	}
	return s[len(s)-1]
}

func TestReceiveTellsWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name string
		send func(c *Conn)
		want string
	}{
		{"another kind", func(c *Conn) { _ = c.Send(t.Context(), soon, Message{Kind: Commit}) }, "commit came instead"},
		{"refusal", func(c *Conn) { _ = c.Send(t.Context(), soon, Message{Kind: Abort, Body: []byte("not today")}) }, "gave up: not today"},
		{"end", func(c *Conn) { c.Close() }, "EOF"},
		{"noise", func(c *Conn) { _, _ = c.c.Write([]byte("GET / HTTP/1.1\r\n\r\n")) }, "not a message"},
		{"version", func(c *Conn) { _, _ = c.c.Write([]byte("OSLB\xff\x01\x00\x00")) }, "another version"},
		{"missing descriptors", func(c *Conn) { _, _ = c.c.Write([]byte("OSLB\x01\x04\x00\x02")) }, "announces 2 descriptors and has 0"},
		{"mixed kinds", func(c *Conn) {
			_, _ = c.c.Write([]byte("OSLB\x01\x04\x01\x00x"))
			_, _ = c.c.Write([]byte("OSLB\x01\x05\x00\x00x"))
		}, "switch within estate"},
		{"unannounced descriptors", func(c *Conn) {
			_, _, _ = c.c.WriteMsgUnix([]byte("OSLB\x01\x04\x00\x00"), unix.UnixRights(0, 1), nil)
		}, "announces 0 descriptors and has 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			old, young := pair(t)
			before := descriptors(t)
			c.send(old)
			_, err := young.Receive(t.Context(), soon, Estate)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want %q in it", err, c.want)
			}
			if c.name == "end" {
				before--
				if !errors.Is(err, io.EOF) {
					t.Errorf("%v is not the end of the other side", err)
				}
			}
			if after := descriptors(t); after != before {
				t.Errorf("%d descriptors before, %d after", before, after)
			}
		})
	}
}

func TestWaitingIsBounded(t *testing.T) {
	_, young := pair(t)
	if _, err := young.Receive(t.Context(), 10*time.Millisecond, Welcome); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error %v, want that the time is up", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("stopping")
	time.AfterFunc(10*time.Millisecond, func() { cancel(reason) })
	if _, err := young.Receive(ctx, time.Minute, Welcome); !errors.Is(err, reason) {
		t.Errorf("error %v, want %v", err, reason)
	}
	// Nobody reads: the socket's buffer fills and sending ends with the time.
	if err := young.Send(t.Context(), 50*time.Millisecond, Message{Kind: Hello, Body: make([]byte, 8<<20)}); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error %v, want that the time is up", err)
	}
}

func TestSocketOfLongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 40))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(t.Context(), dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a socket: %v", err)
	}
	first, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, socketName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	// A successor takes the place, and its predecessor's end leaves it there.
	second, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	c, err := Dial(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	second.Close()
	if _, err := Dial(t.Context(), dir); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("with nobody there: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("in the directory: %v", left)
	}
	second.Remove()
	if _, err := Dial(t.Context(), dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after its removal: %v", err)
	}
}

func TestProcessAtTheOtherEnd(t *testing.T) {
	old, _ := pair(t)
	if old.Peer() != os.Getpid() {
		t.Errorf("peer %d, want %d", old.Peer(), os.Getpid())
	}
	p, err := old.Process()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.Kill() // must not end the test
	if !p.Ended(0) {
		t.Error("this process is waited for")
	}
}

// TestStrangersAreTurnedAway has a process of another user call.
func TestStrangersAreTurnedAway(t *testing.T) {
	testutil.Root(t)
	dir := t.TempDir()
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	// The modes alone would keep others out; they are not what is tested.
	for path, mode := range map[string]os.FileMode{filepath.Dir(dir): 0o755, dir: 0o755, filepath.Join(dir, socketName): 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	// The user of a socket is taken when it connects, so that this goroutine's
	// thread is another's for a moment. It is not given back.
	go func() {
		lockedAs(t, 65534, func() {
			if c, err := net.Dial("unixpacket", filepath.Join(dir, socketName)); err == nil {
				defer c.Close()
				_, _ = c.Read(make([]byte, 1))
			}
		})
		l.Close()
	}()
	k, err := l.Accept()
	switch {
	case err == nil:
		k.Close()
		t.Fatal("a process of another user is let in")
	case !strings.Contains(err.Error(), "belongs to user 65534"):
		t.Fatal(err)
	}
}

func FuzzPacket(f *testing.F) {
	f.Add(appendHeader(nil, header{Hello, false, 0}))
	f.Add(append(appendHeader(nil, header{Estate, true, 200}), "body"...))
	f.Add([]byte("OSLB\x02\x01\x00\x00"))
	f.Add([]byte("OSLB"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, p []byte) {
		h, body, err := parsePacket(p)
		if err != nil {
			return
		}
		if h.fds > packetFDs || h.kind == 0 || h.kind > received {
			t.Errorf("accepted %+v", h)
		}
		if again := append(appendHeader(nil, h), body...); !bytes.Equal(again, p) {
			t.Errorf("%q became %q", p, again)
		}
	})
}
