package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/handover"
)

// startControl listens for a process that takes over. A node that cannot be
// replaced serves all the same.
func (n *Node) startControl(context.Context) error {
	l, err := handover.Listen(n.data.path)
	if err != nil {
		n.log.Warn("this node cannot be replaced without an interruption", "error", err)
		return nil
	}
	n.goes("control socket", func(ctx context.Context) error {
		defer context.AfterFunc(ctx, l.Close)()
		defer l.Close()
		return n.awaitSuccessor(ctx, l)
	})
	n.onStop("control socket file", func(context.Context) error {
		if n.Successor() == 0 {
			l.Remove()
		}
		return nil
	})
	return nil
}

// awaitSuccessor deals with those who want to take over, one after the other,
// until one has or ctx ends.
func (n *Node) awaitSuccessor(ctx context.Context, l *handover.Listener) error {
	for {
		c, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				c.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			n.log.Warn("control socket", "error", err)
			continue
		}
		done := n.give(ctx, c)
		c.Close()
		if done {
			l.Close() // the successor has one of its own in its place
			<-ctx.Done()
			return nil
		}
	}
}

// give hands the node over and reports whether that is done. If not, this node
// serves as before.
func (n *Node) give(ctx context.Context, c *handover.Conn) bool {
	log := n.log.With("process", c.Peer())
	peer, err := c.Process()
	if err != nil {
		log.Warn("handover refused", "error", err)
		return false
	}
	defer peer.Close()
	if err := n.greet(ctx, c); err != nil {
		// Nothing has happened yet. One that finds its settings wrong just goes.
		log.Info("a process that wanted to take over has gone", "cause", err)
		return false
	}
	begun := time.Now()
	s := &succession{node: n, conn: c, peer: peer, log: log}
	if err := s.run(ctx); err != nil {
		log.Error("handover failed; this node goes on", "error", err)
		if m, err := message(handover.Abort, nil); err == nil {
			m.Body = []byte("the node goes on by itself")
			_ = c.Send(ctx, time.Second, m) // whoever is to read it may be dead
		}
		s.takeBack(ctx)
		return false
	}
	log.Info("handed over to another process; connections that are open end here", "connections", n.engine.Active(),
		"traffic_held", time.Since(s.held).Round(10*time.Microsecond).String(), "after", time.Since(begun).Round(time.Millisecond).String())
	n.engine.Leave()
	close(n.replaced)
	return true
}

// greet talks with another process as long as that changes nothing.
func (n *Node) greet(ctx context.Context, c *handover.Conn) error {
	m, err := c.Receive(ctx, greetTimeout, handover.Hello)
	if err != nil {
		return err
	}
	m.Close()
	if m, err = message(handover.Welcome, welcomeBody{Version: n.cfg.Version, Listen: n.cfg.Listen, PID: n.pid}); err != nil {
		return err
	}
	if err := c.Send(ctx, greetTimeout, m); err != nil {
		return err
	}
	m, err = c.Receive(ctx, decideTimeout, handover.Release)
	m.Close()
	return err
}

// succession is one handover, seen from the old process.
type succession struct {
	node *Node
	conn *handover.Conn
	peer *handover.Process
	log  *slog.Logger

	closed bool      // the API and the store are
	held   time.Time // when the engine was; zero: it is not
	// gone says that the new process has given up in good order and holds nothing.
	gone bool
}

func (s *succession) run(ctx context.Context) error {
	n := s.node
	if ok, _ := n.store.Reachable(); !ok {
		return errors.New("the store cannot be reached, which the new process would need: it can take over when the store is back")
	}
	quiet, cancel := context.WithTimeout(ctx, apiShutdown)
	defer cancel()
	n.gate.passTo(clientHostPort(n.listener.Addr()))
	if err := n.gate.close(quiet); err != nil {
		return err
	}
	s.closed = true
	n.listener.pause()
	if err := closeAll(ctx, n.log, &n.brain); err != nil {
		return err
	}
	if err := s.sendEstate(ctx); err != nil {
		return err
	}
	if _, err := s.receive(ctx, n.cfg.HandoverTimeout, handover.Switch); err != nil {
		return err
	}
	// From here on nobody takes in traffic.
	ctx, cancel = context.WithTimeout(ctx, heldTimeout)
	defer cancel()
	n.engine.Hold()
	s.held = time.Now()
	err := n.engine.Memories(func(id spec.FrontendID, memory []byte, fds []int) error {
		return s.send(ctx, handover.Memory, memoryBody{id, memory}, fds...)
	})
	if err != nil {
		return err
	}
	if err := s.send(ctx, handover.Frozen, nil); err != nil {
		return err
	}
	m, err := s.receive(ctx, passTimeout, handover.Commit)
	if err != nil {
		return err
	}
	var body commitBody
	if err := readBody(&m, &body); err != nil {
		n.log.Warn("the new process does not tell where its API is", "error", err)
	} else {
		n.gate.passTo(body.API)
	}
	// The other serves when it has read this, and not before. If it cannot have
	// this any more there is a way back; from then on there is none.
	if err := s.send(ctx, handover.Committed, nil); err != nil {
		return err
	}
	n.successor.Store(int64(s.conn.Peer()))
	return nil
}

func (s *succession) send(ctx context.Context, k handover.Kind, body any, fds ...int) error {
	m, err := message(k, body, fds...)
	if err != nil {
		return err
	}
	return s.conn.Send(ctx, passTimeout, m)
}

func (s *succession) receive(ctx context.Context, limit time.Duration, k handover.Kind) (handover.Message, error) {
	m, err := s.conn.Receive(ctx, limit, k)
	var gaveUp *handover.AbortError
	s.gone = errors.As(err, &gaveUp)
	m.Close() // none of these messages has descriptors
	return m, err
}

func (s *succession) sendEstate(ctx context.Context) error {
	n := s.node
	port, err := n.listener.copyFD()
	if err != nil {
		return fmt.Errorf("copy the API's port: %w", err)
	}
	defer closeFDs([]int{port})
	estate, fds := n.engine.Bequeath()
	return s.send(ctx, handover.Estate, estateBody{Engine: estate}, append([]int{int(n.data.lock.Fd()), port}, fds...)...)
}

// takeBack makes this node serve as before.
func (s *succession) takeBack(ctx context.Context) {
	n := s.node
	if !s.held.IsZero() {
		if err := n.engine.Resume(); err != nil {
			s.log.Error("some listeners do not go on", "error", err)
		}
	}
	if !s.closed || ctx.Err() != nil { // the node is to end
		return
	}
	// The store is the other's until it has ended.
	if !s.gone && !s.peer.Ended(endTimeout) {
		s.log.Warn("the new process does not end; it is killed")
		s.peer.Kill()
	}
	begun := time.Now()
	for {
		err := n.reopen(ctx)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return
		}
		// An outside store that does not answer will, some time; the traffic goes on.
		if time.Since(begun) > restoreTimeout && len(n.cfg.StoreEndpoints) == 0 {
			n.fail(fmt.Errorf("open the store again after a handover that failed: %w", err))
			return
		}
		s.log.Warn("the store cannot be opened again yet", "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(500 * time.Millisecond):
		}
	}
	s.log.Info("the API is served again", "after", time.Since(begun).Round(time.Millisecond).String())
}

// reopen opens store and API again.
func (n *Node) reopen(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, restoreTimeout)
	defer cancel()
	n.stack = &n.brain
	err := n.openBrain(ctx)
	if err == nil {
		err = n.announce() // the other may have written another endpoint
	}
	if err != nil {
		abandon, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonTimeout)
		defer cancel()
		return errors.Join(err, closeAll(abandon, n.log, &n.brain))
	}
	n.gate.open(n.handler())
	n.listener.resume()
	return nil
}

// Replaced is closed when another process has taken over. What is left to do is
// Depart and Stop.
func (n *Node) Replaced() <-chan struct{} { return n.replaced }

// Successor is the number of the process that has taken over; 0: none.
func (n *Node) Successor() int { return int(n.successor.Load()) }

// Depart waits until the connections have ended that were open when another
// process took over, or ctx ends. It returns how many are left.
func (n *Node) Depart(ctx context.Context) (left uint64) {
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		left = n.engine.Active() + uint64(max(n.listener.connections.Load(), 0))
		if left == 0 {
			return 0
		}
		select {
		case <-ctx.Done():
			return left
		case <-look.C:
		}
	}
}
