package node

import (
	"context"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/openslb/openslb/internal/accesslog"
)

// LogFiles says where and for how long the logs of traffic are kept, which are
// files of their own beside the node's log. The zero value of every field is its
// default.
type LogFiles struct {
	// AccessDir is the directory of the access logs. Empty: logs/access under
	// Config.Data.
	AccessDir string
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
	dir := n.cfg.Logs.AccessDir
	if dir == "" {
		dir = n.data.file(filepath.Join("logs", "access"))
	}
	n.accessLogs = n.startLog("access log", dir)
	return nil
}

// startLog starts a writer of logs, which ends at its turn in Stop.
func (n *Node) startLog(name, dir string) *accesslog.Writer {
	w := accesslog.New(n.cfg.Logs.options(dir, n, name))
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
