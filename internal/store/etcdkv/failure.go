package etcdkv

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.uber.org/zap/zapcore"
)

// failure is the end that an embedded etcd would make of the process when it
// cannot go on, with a full disk say. The traffic has nothing to do with that.
type failure struct {
	ctx context.Context //nolint:containedctx // a state: it ends with the failure as its cause
	end context.CancelCauseFunc
}

func newFailure() *failure {
	ctx, end := context.WithCancelCause(context.Background())
	return &failure{ctx, end}
}

// seen is closed when etcd has failed; err then tells how.
func (f *failure) seen() <-chan struct{} { return f.ctx.Done() }
func (f *failure) err() error            { return context.Cause(f.ctx) }

// OnWrite implements zapcore.CheckWriteHook for what etcd logs as fatal or as a
// panic, and does not return: the goroutine stays where it is, with the locks that
// it holds. Nothing can be acknowledged from then on, and nothing that was is
// lost, since the log on the disk has it.
func (f *failure) OnWrite(e *zapcore.CheckedEntry, fields []zapcore.Field) {
	text := e.Message
	enc := zapcore.NewMapObjectEncoder()
	for _, field := range fields {
		field.AddTo(enc)
	}
	if cause, ok := enc.Fields["error"]; ok {
		text = fmt.Sprintf("%s: %v", text, cause)
	}
	f.end(errors.New("etcd has failed: " + text + "; " + remedy(text)))
	select {}
}

// remedy is what helps against a failure.
func remedy(text string) string {
	if strings.Contains(text, "no space left") || strings.Contains(text, "quota exceeded") {
		return "make room on the disk of the data directory, then start the node anew"
	}
	return "if a new start does not help, " + putBack
}
