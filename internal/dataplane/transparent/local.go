package transparent

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"
)

// localAddresses knows the addresses of this host, and follows their changes.
type localAddresses struct {
	log *slog.Logger
	now atomic.Pointer[map[netip.Addr]struct{}]

	stop    chan struct{}
	running sync.WaitGroup
}

// watchPause is how long the watch rests after it was lost.
const watchPause = time.Second

func watchLocal(log *slog.Logger) (*localAddresses, error) {
	l := &localAddresses{log: log, stop: make(chan struct{})}
	updates, cancel, err := subscribe()
	if err != nil {
		return nil, err
	}
	if err := l.read(); err != nil {
		cancel()
		return nil, err
	}
	l.running.Go(func() { l.follow(updates, cancel) })
	return l, nil
}

// subscribe has changes of addresses told until cancel is called, or until the
// channel is closed because the kernel could not tell all of them.
func subscribe() (updates chan netlink.AddrUpdate, cancel func(), err error) {
	updates, done := make(chan netlink.AddrUpdate), make(chan struct{})
	if err := netlink.AddrSubscribeWithOptions(updates, done, netlink.AddrSubscribeOptions{}); err != nil {
		return nil, nil, err
	}
	return updates, func() {
		close(done)
		for range updates { // whoever still sends ends with this
		}
	}, nil
}

// follow reads the addresses again after each change.
func (l *localAddresses) follow(updates chan netlink.AddrUpdate, cancel func()) {
	for {
		select {
		case <-l.stop:
			cancel()
			return
		case _, ok := <-updates:
			if !ok {
				cancel()
				if updates, cancel = l.again(); updates == nil {
					return
				}
			}
		}
		if err := l.read(); err != nil {
			l.log.Warn("the addresses of this host could not be read; those known before still count", "error", err)
		}
	}
}

// again subscribes anew; nil: it is time to stop.
func (l *localAddresses) again() (chan netlink.AddrUpdate, func()) {
	for {
		select {
		case <-l.stop:
			return nil, nil
		case <-time.After(watchPause):
		}
		updates, cancel, err := subscribe()
		if err == nil {
			return updates, cancel
		}
		l.log.Warn("changes of this host's addresses are not told", "error", err)
	}
}

func (l *localAddresses) read() error {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return fmt.Errorf("read the addresses of this host: %w", err)
	}
	set := make(map[netip.Addr]struct{}, len(all))
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				set[ip.Unmap()] = struct{}{}
			}
		}
	}
	l.now.Store(&set)
	return nil
}

// has reports whether an address, not in IPv6 form if it is one of IPv4, is
// this host's.
func (l *localAddresses) has(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	_, ok := (*l.now.Load())[a]
	return ok
}

func (l *localAddresses) close() {
	close(l.stop)
	l.running.Wait()
}
