package memkv

import (
	"context"
	"fmt"
	"strings"

	"github.com/openslb/openslb/internal/store/kv"
)

// Watch implements kv.KV.
func (m *KV) Watch(ctx context.Context, prefix string, after int64) (<-chan kv.Batch, func() error) {
	w := &watch{kv: m, prefix: prefix, at: after, out: make(chan kv.Batch)}
	m.mu.Lock()
	closed := m.closed
	if !closed {
		m.watches.Add(1)
	}
	m.mu.Unlock()
	if closed {
		w.err = kv.ErrClosed
		close(w.out)
		return w.out, func() error { return w.err }
	}
	go func() {
		defer m.watches.Done()
		defer close(w.out)
		w.err = w.run(ctx)
	}()
	return w.out, func() error { return w.err }
}

// watch follows the history from one revision.
type watch struct {
	kv     *KV
	prefix string
	at     int64 // everything up to here has been delivered
	out    chan kv.Batch
	err    error // written before out is closed, read after
}

func (w *watch) run(ctx context.Context) error {
	for {
		batch, changed, closing, err := w.next()
		if err != nil {
			return err
		}
		if batch.Revision == 0 {
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		select {
		case w.out <- batch:
			w.at = batch.Revision
		case <-ctx.Done():
			return ctx.Err()
		case <-closing:
			// Something changed while the reader was busy. Only the end of the KV
			// matters here; the batch is made anew otherwise.
		}
	}
}

// next is everything after w.at as one batch, or no batch and the channel that
// tells of more.
func (w *watch) next() (batch kv.Batch, changed, closing <-chan struct{}, err error) {
	m := w.kv
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return batch, nil, nil, kv.ErrClosed
	case w.at < m.compacted:
		return batch, nil, nil, fmt.Errorf("%w: watch after %d, compacted at %d", kv.ErrCompacted, w.at, m.compacted)
	case w.at >= m.revision:
		return batch, m.changed, nil, nil
	}
	batch.Revision = m.revision
	for _, b := range m.history[w.at-m.compacted:] {
		for _, e := range b.Events {
			if strings.HasPrefix(e.Key, w.prefix) {
				batch.Events = append(batch.Events, e)
			}
		}
	}
	return batch, nil, m.changed, nil
}
