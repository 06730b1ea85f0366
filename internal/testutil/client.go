package testutil

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// exchangeTimeout ends an exchange that hangs. Tests never come near it.
const exchangeTimeout = 20 * time.Second

// HTTPConn is one client connection that sees exactly what the balancer sends:
// nothing is retried or hidden.
type HTTPConn struct {
	c net.Conn
	r *bufio.Reader
	// Closing is set once an answer announced the end of the connection.
	Closing bool
}

// Response is one HTTP answer.
type Response struct {
	Status int
	Header map[string]string // lower-case names; the last of several
	Body   string
}

// DialHTTP opens a client connection.
func DialHTTP(addr netip.AddrPort) (*HTTPConn, error) {
	c, err := net.DialTimeout("tcp", addr.String(), exchangeTimeout)
	if err != nil {
		return nil, err
	}
	return &HTTPConn{c: c, r: bufio.NewReaderSize(c, 2048)}, nil
}

// Close closes the connection.
func (h *HTTPConn) Close() { h.c.Close() }

// Get sends a GET request and reads the answer.
func (h *HTTPConn) Get(path string) (*Response, error) {
	return h.Do("GET " + path + " HTTP/1.1\r\nHost: test\r\n\r\n")
}

// Do sends the request as it is and reads one answer, whose body must have a
// length.
func (h *HTTPConn) Do(request string) (*Response, error) {
	h.c.SetDeadline(time.Now().Add(exchangeTimeout))
	if _, err := io.WriteString(h.c, request); err != nil {
		return nil, fmt.Errorf("send request: %w", err)
	}
	status, err := h.r.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	fields := strings.SplitN(strings.TrimRight(status, "\r\n"), " ", 3)
	if len(fields) < 2 || !strings.HasPrefix(fields[0], "HTTP/1.") {
		return nil, fmt.Errorf("not an answer: %q", status)
	}
	out := &Response{Header: map[string]string{}}
	if out.Status, err = strconv.Atoi(fields[1]); err != nil {
		return nil, fmt.Errorf("not an answer: %q", status)
	}
	for {
		line, err := h.r.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("read answer: %w", err)
		}
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		out.Header[strings.ToLower(name)] = strings.TrimSpace(value)
	}
	h.Closing = strings.EqualFold(out.Header["connection"], "close")
	length, err := strconv.Atoi(out.Header["content-length"])
	if err != nil {
		return nil, fmt.Errorf("answer %d without a usable length: %v", out.Status, out.Header)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(h.r, body); err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	out.Body = string(body)
	return out, nil
}

// EchoConn is a connection to an echo server, through the balancer.
type EchoConn struct {
	c net.Conn
	r *bufio.Reader
	// ServerID is the server that answered.
	ServerID string
}

// DialEcho connects and waits for the server's ID.
func DialEcho(addr netip.AddrPort) (*EchoConn, error) {
	c, err := net.DialTimeout("tcp", addr.String(), exchangeTimeout)
	if err != nil {
		return nil, err
	}
	e := &EchoConn{c: c, r: bufio.NewReaderSize(c, 2048)}
	c.SetDeadline(time.Now().Add(exchangeTimeout))
	id, err := e.r.ReadString('\n')
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("read the server's ID: %w", err)
	}
	e.ServerID = strings.TrimSuffix(id, "\n")
	return e, nil
}

// Close closes the connection.
func (e *EchoConn) Close() { e.c.Close() }

// Echo sends text and demands it back.
func (e *EchoConn) Echo(text string) error {
	e.c.SetDeadline(time.Now().Add(exchangeTimeout))
	if _, err := io.WriteString(e.c, text); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(e.r, got); err != nil {
		return fmt.Errorf("read echo: %w", err)
	}
	if string(got) != text {
		return errors.New("echo differs from what was sent")
	}
	return nil
}
