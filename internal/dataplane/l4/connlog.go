package l4

import (
	"net/netip"

	"github.com/openslb/openslb/internal/accesslog"
	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// connectionLog writes a line for each connection or flow of a frontend when it
// ends. What was refused before it began is counted, not logged.
type connectionLog struct {
	log *accesslog.Log
	// fixed is the same in every line.
	fixed []byte
}

// newConnectionLog gives the log of a frontend; nil when none is written.
func newConnectionLog(w *accesslog.Writer, id spec.FrontendID, listen netip.AddrPort) *connectionLog {
	if w == nil {
		return nil
	}
	b := accesslog.AppendText([]byte(`{"slbid":`), []byte(id.Instance))
	b = accesslog.AppendText(append(b, `,"protocol":`...), []byte(id.Protocol))
	b = accesslog.AppendText(append(b, `,"vip_addr":`...), []byte(listen.Addr().String()))
	b = accesslog.AppendInt(append(b, `,"slb_vport":`...), int64(id.Port))
	return &connectionLog{log: w.Log(id.Instance), fixed: b}
}

// reason why a connection or flow ended, as the log says it.
type reason string

const (
	endClosed        reason = "closed" // both streams ended in order
	endClientReset   reason = "client_reset"
	endServerReset   reason = "server_reset"
	endClientGone    reason = "client_gone" // before a server had accepted
	endIdle          reason = "idle_timeout"
	endNoServer      reason = "no_server"
	endNoRoom        reason = "no_room" // descriptors or memory ran out
	endDrained       reason = "drained"
	endServerLost    reason = "server_lost" // a flow: no answer of a server that is down or removed
	endEvicted       reason = "evicted"     // a flow, to make room for others
	endListenerClose reason = "listener_closed"
	endFailure       reason = "failure" // of ours
)

// tally is what the log says of one connection or flow. It exists only while
// there is a log.
type tally struct {
	began   int64 // on the loop's clock
	in, out int64 // bytes from the client and to it
	why     reason
}

// begin starts a tally; nil: there is no log.
func (l *connectionLog) begin(w *worker) *tally {
	if l == nil {
		return nil
	}
	t := w.tallies.Get()
	*t = tally{began: w.loop.Now()}
	return t
}

// because notes why the end comes. What was noted first counts.
func (t *tally) because(why reason) {
	if t != nil && t.why == "" {
		t.why = why
	}
}

func (t *tally) received(n int) {
	if t != nil {
		t.in += int64(n)
	}
}

func (t *tally) sent(n int) {
	if t != nil {
		t.out += int64(n)
	}
}

// end writes the line and takes the tally back.
func (l *connectionLog) end(w *worker, t *tally, client netip.AddrPort, m *pool.Member) {
	if t == nil {
		return
	}
	now := w.loop.Now()
	l.log.Append(w.shard, func(b []byte, stamp *accesslog.Stamp) []byte {
		b = append(append(b, l.fixed...), `,"client_ip":"`...)
		b = client.Addr().AppendTo(b)
		b = accesslog.AppendInt(append(b, `","client_port":`...), int64(client.Port()))
		b = append(b, `,"upstream_addr":"`...)
		if m != nil {
			b = m.Addr().AppendTo(b)
		} else {
			b = append(b, '-')
		}
		b = stamp.Append(append(b, `","time":`...), now)
		b = accesslog.AppendInt(append(b, `,"bytes_received":`...), t.in)
		b = accesslog.AppendInt(append(b, `,"bytes_sent":`...), t.out)
		b = accesslog.AppendSeconds(append(b, `,"duration":`...), max(0, now-t.began))
		return append(append(append(b, `,"end":"`...), t.why...), "\"}\n"...)
	})
	*t = tally{}
	w.tallies.Put(t)
}
