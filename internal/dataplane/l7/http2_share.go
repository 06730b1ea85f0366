package l7

import "github.com/openslb/openslb/internal/dataplane/l7/h2"

// What is read of an answer and cannot be sent has to be kept, for each of the
// many streams that a client may leave waiting. So no more is read from a server
// than the client's connection takes at that moment, which is then kept free for
// it, and a little beyond, without which nobody would know that there is more.

// readAhead is how many bytes may be read that the client does not take yet. Most
// heads fit in.
const readAhead = 4 << 10

// share is how many of n bytes are to be read from a server now. What is not
// delivered of that has to be given back by unshare, unless share is called again.
func (st *stream) share(n int) int {
	st.hc.mu.Lock()
	defer st.hc.mu.Unlock()
	return min(n, max(readAhead, st.hc.core.Reserve(&st.core, n)))
}

// awaitRoom waits while only the output has no room: more than is read ahead is to
// come of a read then. Where a window is closed nobody waits for the client before
// there is something for it.
func (st *stream) awaitRoom() error {
	hc := st.hc
	hc.mu.Lock()
	defer hc.mu.Unlock()
	for hc.core.Crowded(&st.core, readAhead) {
		if !st.waitLocked() {
			return errClient
		}
	}
	return nil
}

// unshare gives back what nothing came for.
func (st *stream) unshare() {
	st.hc.mu.Lock()
	defer st.hc.mu.Unlock()
	st.unshareLocked()
}

func (st *stream) unshareLocked() {
	if hc := st.hc; hc.core.Unreserve(&st.core) && hc.core.Room() > h2.OutLimit/2 {
		hc.wakeNext()
	}
}

// deliverFrom is deliver for p in b, which it gives back. While it has to wait
// it holds what is to be sent and no more.
func (st *stream) deliverFrom(b *block, p []byte) error {
	st.lent = b
	err := st.conn.deliver(p)
	putBlock(st.lent)
	st.lent = nil
	return err
}

// waitWith is waitLocked while p is to be sent. It returns where that is.
func (st *stream) waitWith(p []byte) ([]byte, bool) {
	if st.lent != nil {
		p = append([]byte(nil), p...)
		putBlock(st.lent)
		st.lent = nil
	}
	return p, st.waitLocked()
}
