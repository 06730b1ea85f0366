package node

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/openslb/openslb/internal/dataplane/loop"
)

// filesPerConnection are the descriptors of one proxied connection: one to the
// client and one to the server.
const filesPerConnection = 2

// raiseFileLimit raises the soft limit of open files to the hard one, and
// returns the limit that holds.
func raiseFileLimit() (uint64, error) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 0, fmt.Errorf("read the limit of open files: %w", err)
	}
	if l.Cur < l.Max {
		raised := unix.Rlimit{Cur: l.Max, Max: l.Max}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &raised); err != nil {
			return l.Cur, fmt.Errorf("raise the limit of open files from %d to %d: %w", l.Cur, l.Max, err)
		}
		l = raised
	}
	return l.Cur, nil
}

// connectionBudget is the number of connections that a limit of open files has
// room for.
func connectionBudget(files uint64) uint64 {
	const most = 1 << 30 // "unlimited"
	return uint64(loop.Room(int64(min(files, most)))) / filesPerConnection
}
