package etcdkv

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// bridge gives etcd a zap logger that ends in slog. etcd tells at level info
// what only its developers want to know, so that info becomes debug; while quiet
// is set, errors too are no more than that: etcd's stop is full of them. Options say
// what comes of fatal ones.
func bridge(logger *slog.Logger, quiet *atomic.Bool, options ...zap.Option) *zap.Logger {
	if logger == nil {
		logger = slog.Default()
	}
	return zap.New(&logCore{handler: logger.With("component", "etcd").Handler(), quiet: quiet}, options...)
}

// logCore is a zapcore.Core over a slog.Handler.
type logCore struct {
	handler slog.Handler
	quiet   *atomic.Bool
}

// startNoise is what etcd calls an error in the first seconds of every new
// store, when no snapshot has told it the storage version yet; it tries again
// until one has.
const startNoise = "failed to update storage version"

func (c *logCore) levelOf(e zapcore.Entry) slog.Level {
	if e.Message == startNoise {
		return slog.LevelDebug
	}
	return c.level(e.Level)
}

func (c *logCore) level(l zapcore.Level) slog.Level {
	switch {
	case l >= zapcore.DPanicLevel: // the process ends: never quiet
		return slog.LevelError
	case l <= zapcore.InfoLevel, c.quiet.Load():
		return slog.LevelDebug
	case l == zapcore.WarnLevel:
		return slog.LevelWarn
	}
	return slog.LevelError
}

// Enabled implements zapcore.Core.
func (c *logCore) Enabled(l zapcore.Level) bool {
	return c.handler.Enabled(context.Background(), c.level(l))
}

// With implements zapcore.Core.
func (c *logCore) With(fields []zapcore.Field) zapcore.Core {
	return &logCore{handler: c.handler.WithAttrs(attrsOf(fields)), quiet: c.quiet}
}

// Check implements zapcore.Core.
func (c *logCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.handler.Enabled(context.Background(), c.levelOf(e)) {
		return ce.AddCore(e, c)
	}
	return ce
}

// Write implements zapcore.Core.
func (c *logCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	r := slog.NewRecord(e.Time, c.levelOf(e), e.Message, 0)
	r.AddAttrs(attrsOf(fields)...)
	return c.handler.Handle(context.Background(), r)
}

// Sync implements zapcore.Core; handlers do not buffer.
func (c *logCore) Sync() error { return nil }

func attrsOf(fields []zapcore.Field) []slog.Attr {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(enc)
	}
	attrs := make([]slog.Attr, 0, len(enc.Fields))
	for _, k := range slices.Sorted(maps.Keys(enc.Fields)) {
		attrs = append(attrs, slog.Any(k, enc.Fields[k]))
	}
	return attrs
}
