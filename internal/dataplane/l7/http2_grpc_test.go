package l7

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/testutil/grpctest"
)

// grpcServer serves methods by what their names say.
func grpcServer(t *testing.T, cancelled chan<- string) spec.Target {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	grpctest.Serve(t, l, func(method string, st grpc.ServerStream) error {
		var m []byte
		switch method {
		case "/t/Unary":
			if err := st.RecvMsg(&m); err != nil {
				return err
			}
			st.SetHeader(metadata.Pairs("x-head", "1"))
			st.SetTrailer(metadata.Pairs("x-tail", "2"))
			return st.SendMsg(&m)
		case "/t/Up":
			total := 0
			for {
				if err := st.RecvMsg(&m); err == io.EOF {
					m = fmt.Append(nil, total)
					return st.SendMsg(&m)
				} else if err != nil {
					return err
				}
				total += len(m)
			}
		case "/t/Down":
			if err := st.RecvMsg(&m); err != nil {
				return err
			}
			for range 200 {
				if err := st.SendMsg(&m); err != nil {
					return err
				}
			}
			return nil
		case "/t/Both":
			return grpctest.Echo(method, st)
		case "/t/Slow":
			if err := st.RecvMsg(&m); err != nil {
				return err
			}
			<-st.Context().Done()
			cancelled <- string(m)
			return st.Context().Err()
		}
		return status.Error(codes.NotFound, "no "+method)
	})
	return spec.Target{ID: "g", Addr: netip.MustParseAddrPort(l.Addr().String()), Weight: 1}
}

// TestGRPC: all kinds of calls from end to end.
func TestGRPC(t *testing.T) {
	if !overTLS {
		return
	}
	cancelled := make(chan string, 10)
	p := newHTTP2Proxy(t, spec.HTTPOptions{ServersHTTP2: true, RequestTimeout: 5 * time.Second}, grpcServer(t, cancelled))
	cc, err := grpctest.NewClient(p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 6*patience)
	defer cancel()
	open := func(ctx context.Context, method string) grpc.ClientStream {
		t.Helper()
		st, err := grpctest.Open(ctx, cc, method)
		if err != nil {
			t.Fatal(err)
		}
		return st
	}

	t.Run("unary", func(t *testing.T) {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for _, n := range []int{0, 1, 1000, 60 << 10, 200 << 10} {
					in, out := pattern(n), []byte(nil)
					var head, tail metadata.MD
					if err := cc.Invoke(ctx, "/t/Unary", &in, &out, grpc.Header(&head), grpc.Trailer(&tail)); err != nil || !bytes.Equal(in, out) {
						t.Errorf("%d: %d bytes came back as %d, %v", i, n, len(out), err)
						return
					}
					if head.Get("x-head") == nil || tail.Get("x-tail") == nil {
						t.Errorf("header %v, trailer %v", head, tail)
					}
				}
			})
		}
		wg.Wait()
	})
	t.Run("status", func(t *testing.T) {
		in, out := []byte("x"), []byte(nil)
		if err := cc.Invoke(ctx, "/t/None", &in, &out); status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), "no /t/None") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("up", func(t *testing.T) {
		st, m := open(ctx, "/t/Up"), pattern(10_000)
		for range 200 {
			if err := st.SendMsg(&m); err != nil {
				t.Fatal(err)
			}
		}
		st.CloseSend()
		if err := st.RecvMsg(&m); err != nil || string(m) != "2000000" {
			t.Errorf("%q, %v", m, err)
		}
	})
	t.Run("down", func(t *testing.T) {
		st, m := open(ctx, "/t/Down"), pattern(10_000)
		if err := st.SendMsg(&m); err != nil {
			t.Fatal(err)
		}
		st.CloseSend()
		n := 0
		for err = st.RecvMsg(&m); err == nil; err = st.RecvMsg(&m) {
			n += len(m)
		}
		if n != 2_000_000 || err != io.EOF {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
	t.Run("both", func(t *testing.T) {
		st := open(ctx, "/t/Both")
		for i := range 50 {
			if err := grpctest.Exchange(st, fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := grpctest.End(st); err != nil {
			t.Error(err)
		}
	})
	t.Run("deadline", func(t *testing.T) {
		short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		in, out := []byte("late"), []byte(nil)
		if err := cc.Invoke(short, "/t/Slow", &in, &out); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("error %v", err)
		}
		if got := <-cancelled; got != "late" {
			t.Errorf("the server noticed %q", got)
		}
	})
	t.Run("cancel", func(t *testing.T) {
		own, cancel := context.WithCancel(ctx)
		st, m := open(own, "/t/Slow"), []byte("gone")
		if err := st.SendMsg(&m); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(50*time.Millisecond, cancel)
		if err := st.RecvMsg(&m); status.Code(err) != codes.Canceled {
			t.Errorf("error %v", err)
		}
		select {
		case got := <-cancelled:
			if got != "gone" {
				t.Errorf("the server noticed %q", got)
			}
		case <-time.After(patience):
			t.Error("the server was not told")
		}
	})
	t.Run("again", func(t *testing.T) { // the connection of the client lives through all that
		in, out := []byte("x"), []byte(nil)
		if err := cc.Invoke(ctx, "/t/Unary", &in, &out); err != nil {
			t.Error(err)
		}
		if f := p.Facts(); f.NewConnections != 1 {
			t.Errorf("%d connections", f.NewConnections)
		}
	})
}

// TestServersHTTP2: requests of HTTP/1.1 and HTTP/2 to a server of HTTP/2.
func TestServersHTTP2(t *testing.T) {
	if !overTLS {
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/empty":
			w.WriteHeader(204)
		case "/early":
			w.WriteHeader(403)
		case "/hints":
			w.WriteHeader(103)
			io.WriteString(w, "late")
		case "/abort":
			io.WriteString(w, "half")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		default:
			w.Header().Set("X-Saw", fmt.Sprint(r.Proto, r.Host, r.Header.Get("X-Forwarded-For")))
			io.Copy(w, r.Body)
		}
	})}
	srv.Protocols.SetUnencryptedHTTP2(true)
	var opened atomic.Int64
	srv.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	p := newHTTP2Proxy(t, spec.HTTPOptions{ServersHTTP2: true, XForwardedFor: true}, spec.Target{ID: "s", Addr: netip.MustParseAddrPort(l.Addr().String()), Weight: 1})
	old := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(old.CloseIdleConnections)
	for name, c := range map[string]*http.Client{"HTTP/2": p.http2Client(), "HTTP/1.1": {Transport: old}} {
		for _, n := range []int{0, 10, 60 << 10, 400 << 10} {
			for _, chunked := range []bool{false, true} {
				want := pattern(n)
				var in io.Reader = bytes.NewReader(want)
				if chunked {
					in = io.MultiReader(in)
				}
				resp, body := fetch(t, c, p.request("POST", "/echo", in))
				if resp.StatusCode != 200 || !bytes.Equal(body, want) {
					t.Errorf("%s: %d bytes: %d, %d bytes", name, n, resp.StatusCode, len(body))
				}
				if saw := resp.Header.Get("X-Saw"); saw != "HTTP/2.0"+p.Addr().String()+"127.0.0.1" {
					t.Errorf("%s: the server saw %q", name, saw)
				}
			}
		}
		for path, want := range map[string]string{"/empty": "204", "/early": "403", "/hints": "200late"} {
			if resp, body := fetch(t, c, p.request("GET", path, nil)); fmt.Sprint(resp.StatusCode)+string(body) != want {
				t.Errorf("%s: %s: %d %q", name, path, resp.StatusCode, body)
			}
		}
		if resp, _ := fetch(t, c, p.request("HEAD", "/echo", nil)); resp.StatusCode != 200 {
			t.Errorf("%s: HEAD: %d", name, resp.StatusCode)
		}
		resp, err := c.Do(p.request("GET", "/abort", nil))
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); err == nil {
			t.Errorf("%s: an aborted answer looks whole: %q", name, body)
		}
		resp.Body.Close()
	}
	if asked, n := p.Facts().Requests, opened.Load(); n == 0 || uint64(n) >= asked {
		t.Errorf("%d connections for %d requests", n, asked)
	}
}
