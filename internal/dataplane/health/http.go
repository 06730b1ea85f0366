package health

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

const (
	// maxResponse is how much of an answer is read. Source: the vendor's page on
	// configuring health checks names 8 KB.
	maxResponse = 8 << 10
	// drainTime bounds the wait for the rest of an answer whose status is known.
	drainTime = 200 * time.Millisecond
	// maxInterim bounds the 1xx answers before the real one.
	maxInterim = 5
	// classOK is the default of spec.Check.Codes: 2xx.
	classOK = 1 << 2
)

// httpChecker is well when the status line of the answer is of an accepted
// class. It speaks just enough HTTP to send one request on a connection of its
// own; redirects are not followed.
type httpChecker struct {
	method, rest string // request line and headers around the Host
	host         string
	codes        uint8
	dial         dialFunc
}

func newHTTPChecker(c spec.Check, dial dialFunc) (Checker, error) {
	for name, value := range map[string]string{"method": c.Method, "host": c.Host, "path": c.URI, "version": c.HTTPVersion} {
		if i := strings.IndexFunc(value, func(r rune) bool { return r <= ' ' || r == 0x7f }); i >= 0 {
			return nil, fmt.Errorf("health: space or control character in %s %q", name, value)
		}
	}
	if strings.ContainsAny(c.UserAgent, "\r\n") {
		return nil, fmt.Errorf("health: line break in user agent %q", c.UserAgent)
	}
	h := &httpChecker{host: c.Host, codes: cmp.Or(c.Codes, classOK), dial: dial}
	version := cmp.Or(c.HTTPVersion, "1.0")
	h.method = cmp.Or(c.Method, "HEAD") + " " + cmp.Or(c.URI, "/") + " HTTP/" + version + "\r\nHost: "
	h.rest = "\r\n"
	if c.UserAgent != "" {
		h.rest += "User-Agent: " + c.UserAgent + "\r\n"
	}
	if version != "1.0" {
		h.rest += "Connection: close\r\n"
	}
	h.rest += "\r\n"
	return h, nil
}

// request is what is sent to a target.
func (h *httpChecker) request(target netip.AddrPort) string {
	host := h.host
	if host == "" {
		host = target.Addr().Unmap().WithZone("").String()
		if target.Addr().Unmap().Is6() {
			host = "[" + host + "]"
		}
	}
	return h.method + host + h.rest
}

// Check sends the request and judges the status.
func (h *httpChecker) Check(ctx context.Context, target netip.AddrPort) error {
	conn, err := h.dial(ctx, "tcp", target)
	if err != nil {
		return explain(ctx, "connect", err)
	}
	defer conn.Close()
	// The end of ctx, by deadline or by cancel, ends reads and writes.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	if _, err := io.WriteString(conn, h.request(target)); err != nil {
		return explain(ctx, "send request", err)
	}
	answer := bufio.NewReaderSize(io.LimitReader(conn, maxResponse), 512)
	status, err := readStatus(answer)
	if err != nil {
		return explain(ctx, "read answer", err)
	}
	// Let a server finish what it is sending: closing with data unread would
	// reset the connection and show up in its log. The verdict stands.
	if stop() && conn.SetDeadline(time.Now().Add(drainTime)) == nil {
		_, _ = io.Copy(io.Discard, answer)
	}
	if h.codes&(1<<(status/100)) == 0 {
		return fmt.Errorf("status %d is not accepted", status)
	}
	return nil
}

// readStatus returns the status of the first answer that is not an interim one.
func readStatus(r *bufio.Reader) (int, error) {
	for range maxInterim {
		line, err := r.ReadString('\n')
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		status, err := parseStatus(line)
		if err != nil || status >= 200 {
			return status, err
		}
		for strings.TrimRight(line, "\r\n") != "" {
			if line, err = r.ReadString('\n'); err != nil {
				return 0, fmt.Errorf("after status %d: %w", status, err)
			}
		}
	}
	return 0, fmt.Errorf("more than %d interim answers", maxInterim)
}

// parseStatus reads "HTTP/1.x NNN ...".
func parseStatus(line string) (int, error) {
	rest, ok := strings.CutPrefix(line, "HTTP/1.")
	if !ok || len(rest) < 5 || !digit(rest[0]) || rest[1] != ' ' ||
		!digit(rest[2]) || !digit(rest[3]) || !digit(rest[4]) ||
		len(rest) > 5 && !strings.ContainsRune(" \r\n", rune(rest[5])) {
		return 0, fmt.Errorf("%q is not the start of an HTTP answer", clip(line))
	}
	status := int(rest[2]-'0')*100 + int(rest[3]-'0')*10 + int(rest[4]-'0')
	if status < 100 || status > 599 {
		return 0, fmt.Errorf("status %d", status)
	}
	return status, nil
}

func digit(b byte) bool { return '0' <= b && b <= '9' }

// clip shortens what a stranger sent for the log.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40]
	}
	return s
}
