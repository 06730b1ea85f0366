package handover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// socketName is the socket's in the data directory.
const socketName = "control.sock"

// Listener is where a node waits for the one that takes over from it.
type Listener struct {
	l    *net.UnixListener
	path string
}

// Listen opens the socket in the directory, in place of one that is there.
func Listen(dir string) (*Listener, error) {
	temporary := fmt.Sprintf("%s.%d", socketName, os.Getpid())
	l := &Listener{path: filepath.Join(dir, socketName)}
	err := within(dir, func(at string) (err error) {
		_ = os.Remove(filepath.Join(at, temporary)) // of an earlier process of this number
		name := filepath.Join(at, temporary)
		l.l, err = net.ListenUnix("unixpacket", &net.UnixAddr{Name: name, Net: "unixpacket"})
		if err != nil {
			return err
		}
		l.l.SetUnlinkOnClose(false) // by then it may be another's
		// The directory is the owner's alone, and who calls has to be the owner; this
		// is for those who look.
		if err = os.Chmod(name, 0o600); err == nil {
			err = os.Rename(name, filepath.Join(at, socketName))
		}
		if err != nil {
			l.l.Close()
			_ = os.Remove(name)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", l.path, err)
	}
	return l, nil
}

// Accept waits for a process that wants to take over. One of another user is
// turned away, which is an error that leaves the listener well.
func (l *Listener) Accept() (*Conn, error) {
	c, err := l.l.AcceptUnix()
	if err != nil {
		return nil, err
	}
	k, err := newConn(c)
	if err != nil {
		c.Close()
		return nil, err
	}
	return k, nil
}

// Close ends the listening. The socket's file stays: a successor's may be in its
// place. Remove takes it away.
func (l *Listener) Close() { l.l.Close() }

// Remove takes the socket's file away.
func (l *Listener) Remove() { _ = os.Remove(l.path) }

// Dial calls the node that has the directory. The error of one that does not
// listen satisfies errors.Is with fs.ErrNotExist or unix.ECONNREFUSED.
func Dial(ctx context.Context, dir string) (*Conn, error) {
	var c net.Conn
	err := within(dir, func(at string) (err error) {
		c, err = (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "unixpacket", filepath.Join(at, socketName))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", filepath.Join(dir, socketName), err)
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, errors.New("control socket: not a unix socket")
	}
	k, err := newConn(u)
	if err != nil {
		c.Close()
		return nil, err
	}
	return k, nil
}

// within calls fn with a short path of the directory, since those of unix
// sockets are bounded and those of directories are not.
func within(dir string, fn func(at string) error) error {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(fd)
	return fn(fmt.Sprintf("/proc/self/fd/%d", fd))
}
