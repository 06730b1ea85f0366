package l7

import (
	"slices"

	"github.com/openslb/openslb/internal/dataplane/sock"
)

// A frontend passes to another process as those of layer 4 do, see Hold there:
// while it is held its connections go on and new ones wait in the sockets, which
// both processes have.

// Hold stops accepting.
func (h *HTTP) Hold() {
	if h.acceptor != nil {
		h.acceptor.hold()
	}
	h.eachPort((*loopPort).hold)
}

// Resume goes on after Hold, or begins on an engine that is held.
func (h *HTTP) Resume() error {
	if h.acceptor != nil {
		h.acceptor.resume()
	}
	return h.openPorts()
}

// Sockets are the descriptors listened on. They are the frontend's, and valid
// until Leave or Close.
func (h *HTTP) Sockets() []int {
	if h.acceptor != nil {
		return slices.Clone(h.acceptor.fds)
	}
	return slices.Clone(h.fds)
}

// Leave closes the sockets. Connections go on, to the end of their next answer,
// or as long as they may be idle: a client may be sending a request just now. An
// HTTP/2 client can be told to go elsewhere without losing one.
func (h *HTTP) Leave() {
	h.leaving.Store(true)
	h.stopAccepting()
	h.each(func(c *conn) {
		if hc := c.http2.Load(); hc != nil {
			hc.leave()
		}
	})
}

func (h *HTTP) stopAccepting() {
	if h.acceptor != nil {
		h.acceptor.close()
	}
	h.eachPort((*loopPort).close)
}

// ends tells whether a connection is to end with the answer under way.
func (h *HTTP) ends() bool { return h.leaving.Load() || h.closing.Load() }

// openPorts has all loops accept.
func (h *HTTP) openPorts() error {
	for _, p := range h.ports {
		failed := errClosed
		if p.r.loop.Do(func() { failed = p.open() }); failed != nil {
			return &sock.BindError{Addr: h.addr, Err: failed}
		}
	}
	return nil
}
