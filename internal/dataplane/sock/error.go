package sock

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// BindError says why an address could not be listened on. Its text is for an
// operator and says what to do.
type BindError struct {
	Addr     netip.AddrPort
	Datagram bool  // UDP
	Err      error // what the system said; a syscall.Errno is within
}

// Unwrap gives the system's error, so that errors.Is(err, syscall.EADDRINUSE)
// works.
func (e *BindError) Unwrap() error { return e.Err }

func (e *BindError) Error() string {
	cause, flags := e.Err.Error(), "-ltnp"
	if e.Datagram {
		flags = "-lunp"
	}
	switch {
	case errors.Is(e.Err, syscall.EADDRINUSE):
		return fmt.Sprintf("cannot listen on %s: the port is in use (%s); stop the program that has it (ss %s 'sport = :%d' names it) or choose another port",
			e.Addr, cause, flags, e.Addr.Port())
	case errors.Is(e.Err, syscall.EACCES):
		return fmt.Sprintf("cannot listen on %s: ports below %d need a privilege (%s); give the program CAP_NET_BIND_SERVICE "+
			"(AmbientCapabilities= in its systemd unit, or setcap cap_net_bind_service=+ep on the file), or set sysctl net.ipv4.ip_unprivileged_port_start=%d, or choose another port",
			e.Addr, unprivilegedPortStart(), cause, e.Addr.Port())
	case errors.Is(e.Err, syscall.EADDRNOTAVAIL):
		return fmt.Sprintf("cannot listen on %s: the address %s is not on this host (%s); add it to an interface (ip address add %s/%d dev ...) or choose an address that ip address shows",
			e.Addr, e.Addr.Addr(), cause, e.Addr.Addr().WithZone(""), e.Addr.Addr().BitLen())
	case errors.Is(e.Err, syscall.EMFILE):
		return fmt.Sprintf("cannot listen on %s: this process has used up its descriptors (%s); raise its limit (LimitNOFILE= in its systemd unit, or ulimit -n)", e.Addr, cause)
	case errors.Is(e.Err, syscall.ENFILE):
		return fmt.Sprintf("cannot listen on %s: the whole system has used up its descriptors (%s); raise sysctl fs.file-max", e.Addr, cause)
	case errors.Is(e.Err, syscall.EAFNOSUPPORT):
		return fmt.Sprintf("cannot listen on %s: the system has no support for this kind of address (%s); enable IPv6 or use an IPv4 address", e.Addr, cause)
	}
	return fmt.Sprintf("cannot listen on %s: %s", e.Addr, cause)
}

// unprivilegedPortStart reads the first port that needs no privilege; 1024
// where the system does not tell.
func unprivilegedPortStart() int {
	const usual = 1024
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if err != nil {
		return usual
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return usual
	}
	return n
}
