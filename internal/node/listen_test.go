package node

import (
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestListenErrorsSayWhatToDo(t *testing.T) {
	for errno, part := range map[unix.Errno]string{
		unix.EADDRINUSE:    "in use",
		unix.EACCES:        "CAP_NET_BIND_SERVICE",
		unix.EADDRNOTAVAIL: "no such address",
		unix.EINVAL:        "host:port",
	} {
		err := listenError("127.0.0.1:80", &net.OpError{Op: "listen", Err: errno})
		for _, p := range []string{part, "127.0.0.1:80", "--listen"} {
			if !strings.Contains(err.Error(), p) {
				t.Errorf("%v: %q does not say %q", errno, err, p)
			}
		}
	}
}

func TestClientHostPort(t *testing.T) {
	for in, want := range map[string]string{
		"127.0.0.1:8680":       "127.0.0.1:8680",
		"0.0.0.0:8680":         "127.0.0.1:8680",
		"[::]:8680":            "127.0.0.1:8680",
		"[::1]:8680":           "[::1]:8680",
		"[::ffff:10.0.0.1]:80": "10.0.0.1:80",
	} {
		addr, err := net.ResolveTCPAddr("tcp", in)
		if err != nil {
			t.Fatal(err)
		}
		if got := clientHostPort(addr); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}
