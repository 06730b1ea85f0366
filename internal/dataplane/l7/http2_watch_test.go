package l7

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// watched is what a client has got so far.
type watched struct {
	mu      sync.Mutex // guards the rest
	started bool
	closed  bool
	body    map[uint32]int // bytes
	datas   map[uint32]int // frames
	text    map[uint32]string
	heads   map[uint32][][]hpack.HeaderField // interim ones and trailers among them
	ended   map[uint32]bool
	reset   map[uint32]http2.ErrCode
	goAway  *http2.ErrCode
	lastID  uint32 // of the same
}

// watch reads in the background from now on, and asks fn every few milliseconds
// until it is true.
func (r *http2Raw) watch(what string, fn func(w *watched) bool) {
	r.t.Helper()
	w := &r.seen
	if !w.started {
		w.started = true
		w.datas = map[uint32]int{}
		w.body, w.text, w.heads, w.ended, w.reset = map[uint32]int{}, map[uint32]string{}, map[uint32][][]hpack.HeaderField{}, map[uint32]bool{}, map[uint32]http2.ErrCode{}
		done := make(chan struct{})
		r.t.Cleanup(func() { r.conn.Close(); <-done })
		go func() {
			defer close(done)
			for {
				f, err := r.fr.ReadFrame()
				w.note(f, err)
				if err != nil {
					return
				}
			}
		}()
	}
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		w.mu.Lock()
		over, closed := fn(w), w.closed
		w.mu.Unlock()
		if over {
			return
		}
		if closed || time.Now().After(end) {
			r.t.Fatalf("waiting for %s: closed %v, bodies %v, heads %v, ended %v, reset %v", what, closed, w.body, w.heads, w.ended, w.reset)
		}
	}
}

// watchEnds watches until the answers on the given streams have ended.
func (r *http2Raw) watchEnds(ids ...uint32) {
	r.t.Helper()
	r.watch(fmt.Sprintf("the ends of %v", ids), func(w *watched) bool {
		return !slices.ContainsFunc(ids, func(id uint32) bool { return !w.ended[id] })
	})
}

// value is that of a field in the last head of a stream, several joined.
func (w *watched) value(id uint32, name string) string {
	heads := w.heads[id]
	if len(heads) == 0 {
		return ""
	}
	var all []string
	for _, f := range heads[len(heads)-1] {
		if f.Name == name {
			all = append(all, f.Value)
		}
	}
	return strings.Join(all, "|")
}

func (w *watched) note(f http2.Frame, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.closed = true
		return
	}
	id := f.Header().StreamID
	switch f := f.(type) {
	case *http2.DataFrame:
		w.datas[id]++
		w.body[id] += len(f.Data())
		w.text[id] += string(f.Data()[:min(len(f.Data()), max(0, 1000-len(w.text[id])))])
	case *http2.MetaHeadersFrame:
		w.heads[id] = append(w.heads[id], f.Fields)
	case *http2.RSTStreamFrame:
		w.reset[id] = f.ErrCode
	case *http2.GoAwayFrame:
		code := f.ErrCode
		w.goAway, w.lastID = &code, f.LastStreamID
	}
	if t := f.Header().Type; f.Header().Flags.Has(http2.FlagDataEndStream) && (t == http2.FrameData || t == http2.FrameHeaders) {
		w.ended[id] = true
	}
}
