package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// ServerOptions configure a Server. Handler is needed; zero values of the rest
// mean the default named at each.
type ServerOptions struct {
	Handler http.Handler
	// TLS holds the certificate or GetCertificate; nil: connections that begin
	// with TLS are closed. HTTP/2 is offered unless NextProtos says otherwise.
	TLS    *tls.Config
	Logger *slog.Logger // default: slog.Default()

	ReadHeaderTimeout time.Duration // for the TLS handshake, and for line and headers; default 10 s
	ReadTimeout       time.Duration // for a whole request; default 30 s
	WriteTimeout      time.Duration // from the end of the headers to the end of the answer; default 60 s
	IdleTimeout       time.Duration // between requests; default 120 s
	ShutdownTimeout   time.Duration // for calls that run when the server ends; default 10 s
	MaxHeaderBytes    int           // request line and headers together; default 320 KiB
	MaxConns          int           // open at once; more are closed at once; default 8192
}

// Server serves HTTP and TLS on one port: the first byte of a connection tells
// which it is. Some clients of the API use https whatever their configuration
// says, others http.
type Server struct {
	opts ServerOptions
}

// NewServer makes a Server. It panics without a Handler.
func NewServer(opts ServerOptions) *Server {
	if opts.Handler == nil {
		panic("rpc: ServerOptions need a Handler")
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	setDefault(&opts.ReadHeaderTimeout, 10*time.Second)
	setDefault(&opts.ReadTimeout, 30*time.Second)
	setDefault(&opts.WriteTimeout, 60*time.Second)
	setDefault(&opts.IdleTimeout, 120*time.Second)
	setDefault(&opts.ShutdownTimeout, 10*time.Second)
	setDefault(&opts.MaxHeaderBytes, 320<<10)
	setDefault(&opts.MaxConns, 8192)
	return &Server{opts: opts}
}

// Serve answers connections of ln until ctx ends; then it accepts no more,
// lets running calls finish within ShutdownTimeout, and returns nil. It closes
// ln in every case. When it returns, nothing it started is left, except calls
// that have outlasted the timeout: their connections are closed and their
// contexts ended.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	split := newSplitter(ln, s.opts.MaxConns, s.opts.Logger)
	server := &http.Server{
		Handler:           s.opts.Handler,
		ReadHeaderTimeout: s.opts.ReadHeaderTimeout,
		ReadTimeout:       s.opts.ReadTimeout,
		WriteTimeout:      s.opts.WriteTimeout,
		IdleTimeout:       s.opts.IdleTimeout,
		MaxHeaderBytes:    s.opts.MaxHeaderBytes,
		// What net/http logs is the noise of strangers: bad handshakes and the like.
		ErrorLog: slog.NewLogLogger(s.opts.Logger.Handler(), slog.LevelDebug),
	}
	if s.opts.TLS != nil {
		server.TLSConfig, server.Protocols = protocols(s.opts.TLS)
	}
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	failures := make(chan error, 3)
	start := func(what string, f func() error) {
		wg.Go(func() {
			if err := f(); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
				failures <- fmt.Errorf("%s %s: %w", what, ln.Addr(), err)
			}
			cancel() // one part does not go on without the others
		})
	}
	start("accept on", func() error { return split.run(running) })
	start("serve http on", func() error { return server.Serve(split.plain) })
	if s.opts.TLS != nil {
		start("serve https on", func() error { return server.ServeTLS(split.tls, "", "") })
	} else {
		split.tls.Close()
	}
	<-running.Done()
	split.stop()
	grace, done := context.WithTimeout(context.WithoutCancel(ctx), s.opts.ShutdownTimeout)
	defer done()
	if err := server.Shutdown(grace); err != nil {
		server.Close() // calls that outlast the grace are cut off
	}
	wg.Wait()
	select {
	case err := <-failures:
		return err
	default:
		return nil
	}
}

// protocols spells out which versions of HTTP are offered. Left to net/http,
// HTTP/2 is set up by the first of Serve and ServeTLS, and not by Serve unless
// the list names it: then it would be offered but not served.
func protocols(config *tls.Config) (*tls.Config, *http.Protocols) {
	config = config.Clone()
	p := new(http.Protocols)
	p.SetHTTP1(true)
	if len(config.NextProtos) == 0 {
		config.NextProtos = []string{"h2", "http/1.1"}
	}
	p.SetHTTP2(slices.Contains(config.NextProtos, "h2"))
	return config, p
}
