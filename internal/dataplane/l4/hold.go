package l4

import (
	"fmt"
	"slices"

	"github.com/openslb/openslb/internal/dataplane/loop"
	"github.com/openslb/openslb/internal/dataplane/sock"
)

// A frontend passes to another process in steps: it is held there and here, what
// it remembers passes, and then it is either resumed there and left here, or the
// other way round. While it is held, connections and datagrams wait in the
// sockets, which both processes have. So wherever a socket is given up it is
// taken out of the loop first: closing it alone would not, as it lives on.

// Hold stops taking in anything new. When it returns nothing more is read from
// the sockets.
func (t *front[P]) Hold() { t.each(P.hold) }

// Resume goes on after Hold, or begins on an engine that is held.
func (t *front[P]) Resume() error {
	errs := make([]error, len(t.ports))
	for i, p := range t.ports {
		if !p.on().loop.Do(func() { errs[i] = p.open() }) {
			errs[i] = errClosed
		}
	}
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("listen on %s: %w", t.addr, err)
		}
	}
	return nil
}

// Sockets are the descriptors listened on. They are the frontend's, and valid
// until Leave or Close.
func (t *front[P]) Sockets() []int { return slices.Clone(t.fds) }

// Leave closes the sockets. Connections go on.
func (t *TCP) Leave() { t.each((*port).leave) }

// Leave closes the sockets and forgets the flows, which are the other process's
// now.
func (u *UDP) Leave() {
	u.close()
	<-u.done
}

func (t *front[P]) each(fn func(P)) {
	for _, p := range t.ports {
		p.on().loop.Do(func() { fn(p) })
	}
}

// hold stops receiving, from clients and from servers.
func (p *udpPort) hold() {
	if d := p.worker.udp; d != nil && d.of == p {
		d.flush()
	}
	p.worker.loop.Detach(p.handle)
	p.handle = 0
	for c := range p.allCarriers() {
		p.worker.loop.Detach(c.handle)
		c.handle = 0
	}
}

// openCarriers receives from servers again.
func (p *udpPort) openCarriers() (err error) {
	for c := range p.allCarriers() {
		if c.handle != 0 {
			continue
		}
		if c.handle, err = p.worker.loop.Register(c.fd, loop.Readable|loop.Repeat, c); err != nil {
			return err
		}
	}
	return nil
}

// leave closes the socket towards clients.
func (p *udpPort) leave() {
	if p.fd < 0 {
		return
	}
	p.hold()
	sock.Close(p.fd)
	p.fd = -1
	p.worker.engine.budget.Give(1)
}
