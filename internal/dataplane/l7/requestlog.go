package l7

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/openslb/openslb/internal/accesslog"
	"github.com/openslb/openslb/internal/dataplane/l7/h1"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// requestLog is the access log of a frontend. What a line says of the request is
// rendered when the request is there, since its bytes do not stay; all else is
// rendered at the end, where the log's writer wants it.
type requestLog struct {
	log *accesslog.Log
	// fixed is the same in every line.
	fixed []byte
}

func newRequestLog(w *accesslog.Writer, f *spec.Frontend) *requestLog {
	o := f.AccessLog
	if w == nil || o == nil {
		return nil
	}
	b := appendMember([]byte{'{'}, `"slbid":`, []byte(f.ID.Instance))
	for _, m := range []struct{ name, value string }{
		{"instance_id", f.ID.Instance}, {"instance_name", o.Name}, {"region", o.Region}, {"network_type", o.NetworkType}, {"vpc_id", o.VPC},
		{"scheme", string(f.ID.Protocol)}, {"vip_addr", f.Listen.Addr().String()},
	} {
		b = appendMember(b, `,"`+m.name+`":`, []byte(m.value))
	}
	b = accesslog.AppendInt(append(b, `,"slb_vport":`...), int64(f.ID.Port))
	return &requestLog{log: w.Log(o.Project, o.Store, f.ID.Instance), fixed: b}
}

// appendMember appends a member of an object: its label, with the comma in front,
// and its value.
func appendMember(dst []byte, label string, value []byte) []byte {
	return accesslog.AppendText(append(dst, label...), value)
}

// logged is what a line says of a request. What is empty was not there.
type logged struct {
	method, uri, protocol []byte
	host                  []byte // that the request is for
	hostHeader            []byte
	userAgent, referer    []byte
	forwardedFor, realIP  []byte
	tlsVersion, cipher    string
}

// begin renders what is known of the request.
func (l *requestLog) begin(r *record, peer netip.AddrPort, q *logged) {
	r.log = l
	b := append(r.line[:0], `,"client_ip":"`...)
	b = peer.Addr().AppendTo(b)
	b = accesslog.AppendInt(append(b, `","client_port":`...), int64(peer.Port()))
	b = appendMember(b, `,"request_method":`, q.method)
	b = appendMember(b, `,"request_uri":`, q.uri)
	b = appendMember(b, `,"server_protocol":`, q.protocol)
	b = appendMember(b, `,"http_host":`, q.hostHeader)
	b = appendMember(b, `,"http_user_agent":`, q.userAgent)
	b = appendMember(b, `,"http_referer":`, q.referer)
	b = appendMember(b, `,"http_x_forwarded_for":`, q.forwardedFor)
	b = appendMember(b, `,"http_x_real_ip":`, q.realIP)
	b = append(b, `,"ssl_protocol":"`...)
	b = append(append(b, orDash(q.tlsVersion)...), `","ssl_cipher":"`...)
	b = append(append(b, orDash(q.cipher)...), '"')
	if r.hostless = len(q.host) == 0; !r.hostless {
		b = appendMember(b, `,"host":`, q.host)
	}
	r.line = b
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// statusLeft is what stands in the log for a client that was gone before there
// was an answer.
const statusLeft = 499

// write has the line written.
func (l *requestLog) write(shard uint32, r *record, now int64) {
	l.log.Append(shard, func(b []byte, stamp *accesslog.Stamp) []byte {
		b = append(append(b, l.fixed...), r.line...)
		b = stamp.Append(append(b, `,"time":`...), now)
		return r.appendOutcome(b, now)
	})
}

// appendOutcome appends what is known of a request when it is over, and the end
// of its line.
func (r *record) appendOutcome(b []byte, now int64) []byte {
	status := r.status
	if status == 0 || r.left || r.server && r.out == 0 {
		status = statusLeft
	}
	b = accesslog.AppendInt(append(b, `,"status":`...), int64(status))
	b = accesslog.AppendInt(append(b, `,"request_length":`...), r.length)
	b = accesslog.AppendInt(append(b, `,"body_bytes_sent":`...), max(0, r.out-r.head))
	b = accesslog.AppendSeconds(append(b, `,"request_time":`...), now-r.began)
	b = accesslog.AppendInt(append(b, `,"read_request_time":`...), millis(r.read-r.began))
	written := int64(0)
	if r.replied > 0 {
		written = millis(now - r.replied)
	}
	b = accesslog.AppendInt(append(b, `,"write_response_time":`...), written)
	b = accesslog.AppendInt(append(b, `,"tcpinfo_rtt":`...), int64(r.rtt))
	b = append(b, `,"upstream_addr":"`...)
	b = r.eachTry(b, func(b []byte, t *try) []byte { return t.addr.AppendTo(b) })
	b = append(b, `","upstream_status":"`...)
	b = r.eachTry(b, func(b []byte, t *try) []byte {
		if t.status == 0 {
			return append(b, '-')
		}
		return strconv.AppendInt(b, int64(t.status), 10)
	})
	b = append(b, `","upstream_response_time":"`...)
	b = r.eachTry(b, func(b []byte, t *try) []byte { return accesslog.AppendSeconds(b, t.ended-t.begun) })
	b = append(b, '"')
	if r.hostless {
		b = append(b, `,"host":"`...)
		if r.n > 0 {
			b = r.tries[r.n-1].addr.Addr().AppendTo(b)
		} else {
			b = append(b, '-')
		}
		b = append(b, '"')
	}
	return append(b, "}\n"...)
}

// eachTry appends something of every try, joined as the vendor does.
func (r *record) eachTry(b []byte, fn func([]byte, *try) []byte) []byte {
	if r.n == 0 {
		return append(b, '-')
	}
	for i := range r.tries[:r.n] {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = fn(b, &r.tries[i])
	}
	return b
}

func millis(ns int64) int64 { return max(0, ns) / 1e6 }

// describe finds in a head of HTTP/1 what the log says of it. The head may be
// incomplete or malformed: then that of it which could be read counts.
func describe(q *logged, req *h1.Request, in []byte) {
	q.method, q.uri, q.protocol = req.Parts(in)
	q.host = req.Host(in)
	for i := range req.Fields {
		f := &req.Fields[i]
		switch name := f.Name(in); {
		case f.ID == h1.Host:
			q.hostHeader = f.Text(in)
		case f.ID == h1.XForwardedFor && q.forwardedFor == nil:
			q.forwardedFor = f.Text(in)
		case f.ID == h1.XForwardedFor && len(q.forwardedFor) <= accesslog.MaxText:
			// Several are one list, as the server gets it. Few clients send them so.
			q.forwardedFor = slices.Concat(q.forwardedFor, []byte(", "), f.Text(in))
		case len(name) == len("referer") && h1.IsNamed(name, "referer"):
			q.referer = f.Text(in)
		case len(name) == len("x-real-ip") && h1.IsNamed(name, "x-real-ip"):
			q.realIP = f.Text(in)
		case len(name) == len("user-agent") && h1.IsNamed(name, "user-agent"):
			q.userAgent = f.Text(in)
		}
	}
	if len(q.host) == 0 {
		q.host = q.hostHeader // of a head that could not be read to its end
	}
}
