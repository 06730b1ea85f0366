package main

import (
	"log/slog"
	"net"
	"os"
	"strings"
)

// notify tells systemd what it asked to be told, for a unit of Type=notify. The
// protocol is a datagram of lines to the socket that the environment names.
func notify(logger *slog.Logger, lines ...string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	if strings.HasPrefix(path, "@") { // of the abstract namespace
		path = "\x00" + path[1:]
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		logger.Warn("systemd cannot be told", "state", lines, "error", err)
		return
	}
	defer c.Close()
	if _, err := c.Write([]byte(strings.Join(lines, "\n"))); err != nil {
		logger.Warn("systemd cannot be told", "state", lines, "error", err)
	}
}
