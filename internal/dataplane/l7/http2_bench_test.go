package l7

import (
	"bufio"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// bulky takes bodies and gives as much back.
func bulky(t testing.TB) *backend {
	return newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		for {
			head, err := readHead(br)
			if err != nil {
				return
			}
			size := 0
			for _, l := range strings.Split(head, "\r\n") {
				if n, v, _ := strings.Cut(l, ": "); strings.EqualFold(n, "content-length") {
					size, _ = strconv.Atoi(v)
				}
			}
			if size > 0 {
				io.CopyN(io.Discard, br, int64(size))
				io.WriteString(c, ok("done"))
				continue
			}
			body := make([]byte, 1<<20)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n")
			c.Write(body)
		}
	})
}

// BenchmarkHTTP2Upload is one body of a gigabyte's sixteenth after the other.
func BenchmarkHTTP2Upload(b *testing.B) {
	if !overTLS {
		return
	}
	const size = 64 << 20
	p := newHTTP2Proxy(b, spec.HTTPOptions{}, target(bulky(b)))
	c := p.http2Client()
	b.SetBytes(size)
	for b.Loop() {
		r := p.request("POST", "/", io.LimitReader(zeros{}, size))
		r.ContentLength = size
		fetch(b, c, r)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// BenchmarkHTTP2Download is sixteen answers of a megabyte at a time.
func BenchmarkHTTP2Download(b *testing.B) {
	if !overTLS {
		return
	}
	const at, size = 16, 1 << 20
	p := newHTTP2Proxy(b, spec.HTTPOptions{}, target(bulky(b)))
	c := p.http2Client()
	b.SetBytes(at * size)
	for b.Loop() {
		var all sync.WaitGroup
		for range at {
			all.Go(func() {
				resp, err := c.Do(p.request("GET", "/", nil))
				if err != nil {
					b.Error(err)
					return
				}
				if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
					b.Error(n, err)
				}
				resp.Body.Close()
			})
		}
		all.Wait()
	}
}
