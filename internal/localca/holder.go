package localca

import (
	"crypto/tls"
	"sync"
	"sync/atomic"
	"time"
)

// checkEvery is how often a Holder looks whether its certificate is due.
const checkEvery = 12 * time.Hour

// Holder serves the certificate of a directory and renews it while the process
// runs. It needs no goroutine: a handshake triggers the check.
type Holder struct {
	dir   string
	names []string
	now   func() time.Time
	ca    string
	cert  atomic.Pointer[tls.Certificate]
	next  atomic.Int64 // Unix seconds of the next check

	mu sync.Mutex // held by the one handshake that checks
}

// NewHolder returns a holder of the server certificate in dir, for localhost,
// 127.0.0.1, ::1 and the given host names and IP addresses. Whatever is missing in
// dir is made, dir and the authority included.
func NewHolder(dir string, names []string) (*Holder, error) {
	return newHolder(dir, names, time.Now)
}

func newHolder(dir string, names []string, now func() time.Time) (*Holder, error) {
	h := &Holder{dir: dir, names: names, now: now}
	cert, ca, err := ensure(dir, names, now())
	if err != nil {
		return nil, err
	}
	h.ca = ca
	h.cert.Store(&cert)
	h.next.Store(now().Add(checkEvery).Unix())
	return h, nil
}

// CAFile is the path of the authority's certificate.
func (h *Holder) CAFile() string { return h.ca }

// GetCertificate has the form that tls.Config wants. If a renewal fails, the
// certificate at hand is served on, and the next check tries again.
func (h *Holder) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if now := h.now(); now.Unix() >= h.next.Load() && h.mu.TryLock() {
		defer h.mu.Unlock()
		if now.Unix() >= h.next.Load() {
			h.next.Store(now.Add(checkEvery).Unix())
			if cert, _, err := ensure(h.dir, h.names, now); err == nil {
				h.cert.Store(&cert)
			}
		}
	}
	return h.cert.Load(), nil
}
