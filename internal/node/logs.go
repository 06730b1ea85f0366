package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/openslb/openslb/internal/accesslog"
	"github.com/openslb/openslb/internal/dataplane"
)

// LogFiles says where and for how long the logs of traffic are kept, which are
// files of their own beside the node's log. The zero value of every field is its
// default.
type LogFiles struct {
	// AccessDir is the directory of the access logs. Empty: logs/access under
	// Config.Data.
	AccessDir string
	// Connections has each connection and flow of TCP and UDP listeners logged
	// when it ends, in logs/connections under Config.Data.
	Connections bool
	// MaxSize of a file in bytes and Period after which it is put aside, whichever
	// comes first; 0: 100 MB, a day.
	MaxSize int64
	Period  time.Duration
	// Keep is how long files put aside are kept, and KeepFiles how many of one
	// log; 0: a week, 100.
	Keep      time.Duration
	KeepFiles int
}

func (l LogFiles) options(dir string, n *Node, part string) accesslog.Options {
	return accesslog.Options{Dir: dir, MaxSize: l.MaxSize, Period: l.Period, Keep: l.Keep, KeepFiles: l.KeepFiles, Logger: n.log.With("part", part)}
}

// openLogs starts what writes the logs of traffic. No file is made before there
// is a line.
func (n *Node) openLogs(context.Context) error {
	if dir := n.cfg.Logs.AccessDir; dir != "" {
		if err := checkLogDir(dir); err != nil {
			return &ConfigError{"access-log-dir", dir, fmt.Errorf("%w; name a directory that user %d can make and write to", fileReason(err), os.Getuid())}
		}
	}
	n.accessLogs = n.startLog("access log", n.accessLogDir(), n.cfg.Logs.Keep)
	if n.cfg.Logs.Connections {
		n.connectionLog = n.startLog("connection log", n.data.file(filepath.Join("logs", "connections")), n.cfg.Logs.Keep)
	}
	n.auditLog = n.startLog("audit log", n.data.file(filepath.Join("logs", "audit")), auditKeep)
	return nil
}

// checkLogDir wants a directory that can be written to: the first line may come
// days later, and nobody would see it fail.
func checkLogDir(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	return unix.Access(dir, unix.W_OK|unix.X_OK)
}

// accessLogDir is the directory of the access logs.
func (n *Node) accessLogDir() string {
	if dir := n.cfg.Logs.AccessDir; dir != "" {
		return dir
	}
	return n.data.file(filepath.Join("logs", "access"))
}

// healthLog gives what writes down that servers turn abnormal and are well again,
// in the vendor's words.
func (n *Node) healthLog() func(dataplane.HealthChange) {
	h := &accesslog.Hourly{Dir: n.data.file(filepath.Join("logs", "health")), Keep: healthKeep, Logger: n.log.With("part", "health log")}
	return func(c dataplane.HealthChange) {
		state := "normal"
		if !c.Well {
			state = "abnormal; cause:" + strings.Map(oneLine, c.Cause)
		}
		h.Line(time.Now(), fmt.Sprintf("%s to %s %s", c.Listen, c.Target, state))
	}
}

// healthKeep is how long the vendor keeps it.
const healthKeep = 3 * 24 * time.Hour

// oneLine keeps what a server said from beginning another line.
func oneLine(r rune) rune {
	if r < ' ' {
		return ' '
	}
	return r
}

// startLog starts a writer of logs, which ends at its turn in Stop.
func (n *Node) startLog(name, dir string, keep time.Duration) *accesslog.Writer {
	o := n.cfg.Logs.options(dir, n, name)
	o.Keep = keep
	w := accesslog.New(o)
	n.onStop(name, func(context.Context) error { w.Close(); return nil })
	return w
}

// registerLogMetrics exports what became of the lines of a log.
func registerLogMetrics(r prometheus.Registerer, name string, w *accesslog.Writer) {
	for result, value := range map[string]func(accesslog.Stats) uint64{
		"written": func(s accesslog.Stats) uint64 { return s.Written },
		"dropped": func(s accesslog.Stats) uint64 { return s.Dropped },
		"failed":  func(s accesslog.Stats) uint64 { return s.Failed },
	} {
		r.MustRegister(prometheus.NewCounterFunc(
			prometheus.CounterOpts{
				Name:        "openslb_log_lines_total",
				Help:        "Lines of the logs of traffic: written, dropped since the disk was too slow, or failed to be written.",
				ConstLabels: prometheus.Labels{"log": name, "result": result},
			},
			func() float64 { return float64(value(w.Stats())) },
		))
	}
}
