package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// tlsLoad is a load over TLS 1.3, by a goroutine for each connection. It costs
// far more than the plain one, but on its own core.
type tlsLoad struct {
	job      loadJob
	counting atomic.Bool

	mu    sync.Mutex
	res   loadResult
	times histogram
}

// tlsClient is one connection after the other.
type tlsClient struct {
	l      *tlsLoad
	config *tls.Config
	source byte
	conn   *tls.Conn
	br     *bufio.Reader
	sent   int // requests on conn
	made   int // connections
}

func (l *tlsLoad) client(i int) *tlsClient {
	c := &tlsClient{l: l, source: byte(i % sourceCount), br: bufio.NewReaderSize(nil, 32<<10)}
	c.config = &tls.Config{InsecureSkipVerify: true, ServerName: "bench.test", MinVersion: tls.VersionTLS13,
		CurvePreferences: []tls.CurveID{tls.X25519}}
	if l.job.Mode != httpsNew {
		c.config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	}
	return c
}

// runTLSLoad is runLoad for the modes over TLS.
func runTLSLoad(job loadJob) error {
	l := &tlsLoad{job: job}
	if job.Idle {
		var all []*tlsClient
		for i := range job.Conns {
			c := l.client(i)
			if err := c.exchange(); err != nil {
				return fmt.Errorf("idle connections: %w", err)
			}
			c.br = nil // nothing more is read
			all = append(all, c)
		}
		fmt.Println("begin")
		_, _ = io.Copy(io.Discard, os.Stdin)
		for _, c := range all {
			c.conn.Close()
		}
		return nil
	}
	var wg sync.WaitGroup
	for i := range job.Conns {
		c := l.client(i)
		wg.Go(c.run)
	}
	time.Sleep(job.Warm)
	l.counting.Store(true)
	fmt.Println("begin")
	time.Sleep(job.Duration)
	l.counting.Store(false)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.res.P50, l.res.P99 = l.times.quantile(0.50), l.times.quantile(0.99)
	return json.NewEncoder(os.Stdout).Encode(l.res)
}

// run makes one exchange after the other until the process ends.
func (c *tlsClient) run() {
	for {
		began := time.Now()
		err := c.exchange()
		if c.sent == requestsEach || c.l.job.Mode != httpsKeep || err != nil {
			c.close()
		}
		if !c.l.counting.Load() {
			continue
		}
		c.l.mu.Lock()
		if err != nil {
			if c.l.res.Faults++; c.l.res.Faults == 1 {
				c.l.res.FirstFault = err.Error()
			}
		} else {
			c.l.res.Operations++
			c.l.times.add(int64(time.Since(began)))
		}
		c.l.mu.Unlock()
	}
}

func (c *tlsClient) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn, c.sent = nil, 0
	}
}

// exchange sends one request and reads the answer, over a new connection if there
// is none.
func (c *tlsClient) exchange() error {
	if c.conn == nil {
		source := c.l.job.Source.As4()
		source[3] += c.source
		from := net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4(source), 0))
		plain, err := net.DialTCP("tcp", from, net.TCPAddrFromAddrPort(c.l.job.Addr))
		if err != nil {
			return err
		}
		c.conn = tls.Client(plain, c.config)
		if err := c.conn.Handshake(); err != nil {
			return err
		}
		if resumed := c.conn.ConnectionState().DidResume; resumed != (c.config.ClientSessionCache != nil && c.made > 0) {
			return fmt.Errorf("connection %d, session resumed: %v", c.made+1, resumed)
		}
		c.made++
		c.br.Reset(c.conn)
	}
	c.sent++
	if _, err := c.conn.Write(keepRequest); err != nil {
		return err
	}
	line, err := c.br.ReadSlice('\n')
	if err != nil {
		return err
	}
	if len(line) < 12 || string(line[9:12]) != "200" {
		return fmt.Errorf("answer %.60q", line)
	}
	length := -1
	for {
		if line, err = c.br.ReadSlice('\n'); err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		if lengthField(line[1:]) {
			if length, err = strconv.Atoi(strings.TrimSpace(string(line[len("Content-Length:"):]))); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return errors.New("an answer without length")
	}
	_, err = c.br.Discard(length)
	return err
}
