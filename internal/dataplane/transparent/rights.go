package transparent

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// lock is a slot that a node has. It goes with the process, however that ends.
type lock struct{ fd int }

// take claims a slot: by an abstract name of a unix socket, since such names
// belong to the network namespace, as rules and routes do.
func take(slot int) (*lock, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: "@openslb/transparent/" + strconv.Itoa(slot)}); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("bind", err)
	}
	return &lock{fd}, nil
}

func (l *lock) release() { unix.Close(l.fd) }

// canBindForeign reports whether a socket may have an address of another host.
func canBindForeign() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TRANSPARENT, 1); err != nil {
		return explain(os.NewSyscallError("setsockopt IP_TRANSPARENT", err))
	}
	return nil
}

// explain adds to an error what to do about it.
func explain(err error) error {
	const intro = "transparent source addresses are not possible"
	switch {
	case errors.Is(err, syscall.EPERM):
		return fmt.Errorf("%s: they need CAP_NET_ADMIN (%w); run the node as root, or give it the right "+
			"(AmbientCapabilities=CAP_NET_ADMIN in its systemd unit, or setcap cap_net_admin+ep on the file), or choose source mode proxy", intro, err)
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.EPROTONOSUPPORT), errors.Is(err, syscall.ENOPROTOOPT):
		return fmt.Errorf("%s: the kernel lacks a part (%w); it needs nf_tables with nft_socket and policy routing "+
			"(CONFIG_NF_TABLES, CONFIG_NFT_SOCKET, CONFIG_IP_MULTIPLE_TABLES), or choose source mode proxy", intro, err)
	case errors.Is(err, syscall.ENETDOWN):
		return fmt.Errorf("%s: %w; the loopback interface must be up (ip link set lo up)", intro, err)
	}
	return fmt.Errorf("%s: %w", intro, err)
}
