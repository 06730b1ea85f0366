package netns

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/openslb/openslb/internal/dataplane"
	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/dataplane/transparent"
)

// A flow with the address of its client goes on in the process that takes over,
// and a connection in the one that was: each has its own set-up on the host.
func TestTransparentHandover(t *testing.T) {
	w := newWorld(t, spec.SourceTransparent)
	w.a.packets(t, w.a.v4, 7000, tellSender(false))
	w.a.serve(t, w.a.v4, 7000, echo("a"))
	tcp, udp := tcpFrontend(front4, 101, spec.TCPOptions{}), udpFrontend(front4, 101, spec.UDPOptions{})
	instance := spec.Instance{
		Frontends: []spec.Frontend{tcp, udp},
		Pools:     []spec.Pool{{ID: "p", Scheduler: spec.WRR, Targets: []spec.Target{target("a", w.a.v4, 7000)}}},
	}
	w.apply(instance)
	flow := w.client.mustDial(t, "udp", netip.AddrPortFrom(front4, 101), 0)
	expect := func(when string, c net.Conn) {
		t.Helper()
		if source, _ := ask(t, c); source != c.LocalAddr().String() {
			t.Errorf("%s the server sees %s in place of %s", when, source, c.LocalAddr())
		}
	}
	expect("at first", flow)
	old := w.open(101)

	log := slog.New(slog.NewTextHandler(w.log, nil))
	source, err := transparent.Setup(spec.SourceTransparent, log)
	if err != nil {
		t.Fatal(err)
	}
	estate, fds := w.engine.Bequeath()
	heir := dataplane.New(dataplane.Options{Logger: log, Source: source, Estate: estate, FDs: copies(t, fds)})
	before := w.engine
	defer func() { // the world closes the one that was
		if err := heir.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := source.Close(); err != nil {
			t.Error(err)
		}
		w.engine = before
	}()
	w.engine = heir
	w.apply(instance)
	before.Hold()
	if err := before.Memories(func(id spec.FrontendID, memory []byte, fds []int) error {
		return heir.Recall(id, memory, copies(t, fds))
	}); err != nil {
		t.Fatal(err)
	}
	if err := heir.Resume(); err != nil {
		t.Fatal(err)
	}
	before.Leave()

	expect("after the handover", flow)
	for _, f := range heir.FrontendFacts() {
		if f.ID.Protocol == spec.UDP && (f.ActiveConnections != 1 || f.NewConnections != 0) {
			t.Errorf("the heir has %d flows and began %d", f.ActiveConnections, f.NewConnections)
		}
	}
	old.say(t, "still here")
	expect("a new flow", w.client.mustDial(t, "udp", netip.AddrPortFrom(front4, 101), 0))
}

func copies(t *testing.T, fds []int) (out []int) {
	t.Helper()
	for _, fd := range fds {
		c, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}
