package node

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/openslb/openslb/internal/api"
	"github.com/openslb/openslb/internal/localca"
	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
)

// apiShutdown bounds the wait for calls under way at the end. A call takes at
// most the two seconds that it waits for the traffic to follow.
const apiShutdown = 3 * time.Second

// prepareAPI does all of starting the API that may fail.
func (n *Node) prepareAPI(context.Context) error {
	cert, err := localca.NewHolder(n.data.file("tls"), n.certificateNames())
	if err != nil {
		return fmt.Errorf("certificate of the API: %w", err)
	}
	n.caFile = cert.CAFile()
	if err := n.announce(); err != nil {
		return err
	}
	n.gate.open(n.handler())
	var handler http.Handler = n.gate
	if n.cfg.Profiling {
		handler = withProfiles(n.gate)
	}
	n.server = rpc.NewServer(rpc.ServerOptions{
		Handler:         handler,
		TLS:             &tls.Config{GetCertificate: cert.GetCertificate},
		Logger:          n.log.With("part", "api"),
		ShutdownTimeout: apiShutdown,
	})
	return nil
}

// openNonces opens the file of what callers have used up. It belongs to the brain,
// so that while another process takes over one of the two has it.
func (n *Node) openNonces(context.Context) error {
	f, err := rpc.OpenNonces(n.data.file("nonces"), n.log.With("part", "rpc"))
	if err != nil {
		return err
	}
	n.nonces = f
	n.onStop("used nonces", func(context.Context) error { return f.Close() })
	return nil
}

// serveAPI opens the API to callers, on the port that has been taken before.
func (n *Node) serveAPI(context.Context) error {
	n.goes("API", func(ctx context.Context) error { return n.server.Serve(ctx, n.listener) })
	return nil
}

// handler is what the API port serves: calls at /, and pages for operators.
func (n *Node) handler() http.Handler {
	server := api.New(api.Config{
		Store:   n.store,
		Applier: n.reconciler,
		Facts:   facts{n},
		Metrics: facts{n},
		Keys:    n.keys,
		Binder:  binder{n},
		Sealer:  n.sealer,
		Quotas:  n.quotas,
		Region:  n.cfg.Region,
		Zones:   n.cfg.zones(),
		Pools: []api.AddressPool{
			{Type: slb.Internet, Prefixes: n.cfg.InternetPool},
			{Type: slb.Intranet, Prefixes: n.cfg.IntranetPool},
		},
		Endpoint:        n.Endpoint,
		Logger:          n.log.With("part", "api"),
		AllowForeignENI: true,
	})
	registry := n.registry()
	observe, audit := newCallMetrics(registry).observe, n.audit()
	mux := http.NewServeMux()
	mux.Handle("/", rpc.NewHandler(rpc.Options{
		Mux:    rpc.NewMux(server.Products()...),
		Keys:   keyStore{n.keys, n.cfg.Dev},
		Logger: n.log.With("part", "rpc"),
		Nonces: n.nonces,
		Tell:   audited,
		OnCall: func(c rpc.CallInfo) {
			observe(c)
			audit(c)
		},
	}))
	mux.Handle("GET /metrics", metricsHandler(registry))
	mux.HandleFunc("GET /healthz", n.serveHealth)
	mux.HandleFunc("GET /readyz", n.serveReady)
	return mux
}

// certificateNames are the names and addresses by which clients may call the
// node over TLS, beside localhost and the loopback addresses.
func (n *Node) certificateNames() []string {
	names := slices.Clone(n.cfg.ServerNames)
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
	}
	return names
}
