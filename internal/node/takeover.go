package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openslb/openslb/internal/dataplane"
	"github.com/openslb/openslb/internal/handover"
	"github.com/openslb/openslb/internal/store"
)

// meetTimeout is how long a node that has the directory may take to listen: it
// may be starting, or be replaced by another just now.
const meetTimeout = 10 * time.Second

// predecessor is the node that this one takes over from.
type predecessor struct {
	conn    *handover.Conn
	process *handover.Process
	welcome welcomeBody
	over    bool // this node serves, or the other has ended

	estate *dataplane.Estate
	fds    []int // of the estate, until the engine has them
	port   int   // of the API; -1: none
}

// meet calls the node that has the data directory. It returns without one if
// the directory has become free meanwhile.
func (n *Node) meet(ctx context.Context, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("data directory %s: %w", n.cfg.Data, err)
	}
	until := time.Now().Add(meetTimeout)
	for {
		c, err := handover.Dial(ctx, dir)
		if err == nil {
			err = n.introduce(ctx, c)
			n.useData(&dataDir{path: dir}) // its lock comes with the estate
			return err
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ECONNREFUSED) || time.Now().After(until) {
			return fmt.Errorf("the node that uses the data directory %s cannot be replaced: %w; stop it", dir, err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
		d, err := openDataDir(dir)
		if err == nil {
			n.useData(d)
			return nil
		}
		if !errors.Is(err, errInUse) {
			return err
		}
	}
}

// introduce says hello.
func (n *Node) introduce(ctx context.Context, c *handover.Conn) error {
	old := &predecessor{conn: c, port: -1}
	n.old = old
	n.onStop("former node", func(context.Context) error {
		if !old.over { // it has what it needs to go on, as all else here is closed
			_ = c.Send(context.Background(), time.Second, handover.Message{Kind: handover.Abort, Body: []byte("the new process has failed, its own output says why")})
		}
		closeFDs(old.fds)
		if old.port >= 0 {
			closeFDs([]int{old.port})
		}
		if old.process != nil {
			old.process.Close()
		}
		c.Close()
		return nil
	})
	var err error
	if old.process, err = c.Process(); err != nil {
		return err
	}
	m, err := message(handover.Hello, helloBody{Version: n.cfg.Version})
	if err != nil {
		return err
	}
	if err := c.Send(ctx, greetTimeout, m); err != nil {
		return err
	}
	if m, err = c.Receive(ctx, greetTimeout, handover.Welcome); err != nil {
		return err
	}
	defer m.Close()
	if err := readBody(&m, &old.welcome); err != nil {
		return err
	}
	n.log.Info("taking over", "process", c.Peer(), "version", old.welcome.Version)
	return nil
}

// inherit has the former node give up store and API, and takes what it leaves.
// What can be wrong with the settings is found before.
func (n *Node) inherit(ctx context.Context) error {
	old := n.old
	if old == nil {
		return nil
	}
	if n.cfg.ServersFile != "" {
		if _, err := readServersFile(n.cfg.ServersFile); err != nil {
			return err
		}
	}
	m, err := message(handover.Release, nil)
	if err != nil {
		return err
	}
	if err := old.conn.Send(ctx, passTimeout, m); err != nil {
		return err
	}
	if m, err = old.conn.Receive(ctx, n.cfg.HandoverTimeout, handover.Estate); err != nil {
		return err
	}
	var body estateBody
	if err := readBody(&m, &body); err != nil || len(m.FDs) < 2 || body.Engine == nil {
		m.Close()
		return errors.Join(err, errors.New("handover: the former node leaves less than is needed"))
	}
	n.data.lock = os.NewFile(uintptr(m.FDs[0]), n.data.file("lock"))
	old.port, old.fds, old.estate = m.FDs[1], m.FDs[2:], body.Engine
	if n.listener != nil { // another address is wanted
		return nil
	}
	l, err := adoptAPIListener(old.port)
	old.port = -1
	if err != nil {
		return fmt.Errorf("take over the API's port: %w", err)
	}
	n.useListener(l)
	return nil
}

// takeOver makes this node the one that serves.
func (n *Node) takeOver(ctx context.Context) error {
	old := n.old
	if old == nil {
		return nil
	}
	if err := n.askToSwitch(ctx); err != nil && !old.dead(err) {
		return err
	}
	old.over = true
	if err := n.engine.Resume(); err != nil {
		n.log.Error("some listeners could not be taken over", "error", err)
	}
	n.data.sign()
	n.log.Info("taken over", "process", old.conn.Peer())
	return nil
}

// dead tells whether the former node has ended, in which case there is nobody to
// agree with.
func (p *predecessor) dead(err error) bool {
	var gaveUp *handover.AbortError
	return !errors.As(err, &gaveUp) && p.process.Ended(time.Second)
}

func (n *Node) askToSwitch(ctx context.Context) error {
	c := n.old.conn
	if err := c.Send(ctx, passTimeout, handover.Message{Kind: handover.Switch}); err != nil {
		return err
	}
	for {
		m, err := c.Receive(ctx, passTimeout, handover.Memory, handover.Frozen)
		if err != nil {
			return err
		}
		if m.Kind == handover.Frozen {
			break
		}
		var body memoryBody
		if err := readBody(&m, &body); err != nil {
			m.Close()
			return err
		}
		if err := n.engine.Recall(body.Frontend, body.Memory, m.FDs); err != nil {
			n.log.Error("what a listener remembers could not be taken over", "load_balancer", body.Frontend.Instance, "port", body.Frontend.Port, "error", err)
		}
	}
	m, err := message(handover.Commit, commitBody{API: clientHostPort(n.listener.Addr())})
	if err != nil {
		return err
	}
	if err := c.Send(ctx, passTimeout, m); err != nil {
		return err
	}
	// There is no giving up by the clock here: the other may just have agreed. It
	// is bound by clocks of its own, and its end would be seen.
	m, err = c.Receive(ctx, 24*time.Hour, handover.Committed)
	m.Close()
	return err
}

// openSealer reads the key of secrets, which the data plane needs too.
func (n *Node) openSealer(context.Context) error {
	key, err := store.LoadOrCreateKey(n.cfg.SealKeyFile)
	if err != nil {
		return &ConfigError{"seal-key-file", n.cfg.SealKeyFile, fileReason(err)}
	}
	if n.sealer, err = store.NewSealer(key); err != nil {
		return fmt.Errorf("seal key %s: %w", n.cfg.SealKeyFile, err)
	}
	return nil
}

func closeFDs(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
