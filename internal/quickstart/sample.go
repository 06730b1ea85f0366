package quickstart

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// healthPath is the page that health checks ask for.
const healthPath = "/healthz"

// serverHeader carries the identifier of the sample server that answered.
const serverHeader = "X-Sample-Server"

// sample is one HTTP server on a loopback address of its own, which tells its
// identifier.
type sample struct {
	id   string
	addr netip.AddrPort
	srv  *http.Server
	done chan struct{}
}

// startSamples starts one server per identifier. All have the same port, since
// a default server group has one port for all its servers; the port is free.
func startSamples(ids []string) ([]*sample, error) {
	var lastErr error
	// The first server takes any free port; another program may hold that port on
	// the addresses of the rest, so try some times.
	for range 20 {
		samples, err := startSamplesOnce(ids)
		if err == nil {
			return samples, nil
		}
		lastErr = err
	}
	return nil, fmt.Errorf("start the sample servers: %w", lastErr)
}

func startSamplesOnce(ids []string) (_ []*sample, err error) {
	var out []*sample
	defer func() {
		if err != nil {
			stopSamples(out)
		}
	}()
	port := uint16(0)
	for i, id := range ids {
		addr := netip.AddrPortFrom(sampleAddr(i), port)
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr.String())
		if err != nil {
			return out, err
		}
		s := newSample(id, l)
		port = s.addr.Port()
		out = append(out, s)
	}
	return out, nil
}

// sampleAddr is the address of the i-th sample server. Linux takes all of
// 127.0.0.0/8 for the host itself.
func sampleAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{127, 2, 0, byte(11 + i)}) }

func newSample(id string, l net.Listener) *sample {
	s := &sample{
		id:   id,
		addr: l.Addr().(*net.TCPAddr).AddrPort(),
		done: make(chan struct{}),
	}
	mux := http.NewServeMux()
	mux.HandleFunc(healthPath, func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(serverHeader, id)
		fmt.Fprintf(w, "Hello from %s at %s. You asked for %s.\n", id, s.addr, r.URL.Path)
	})
	s.srv = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(s.done)
		if err := s.srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			// The traffic shows it as a server that does not answer.
			_ = l.Close()
		}
	}()
	return s
}

// stop ends the server as a crash would: connections and all.
func (s *sample) stop() {
	_ = s.srv.Close()
	<-s.done
}

func stopSamples(samples []*sample) {
	for _, s := range samples {
		s.stop()
	}
}
