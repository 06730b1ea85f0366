package etcdkv

import (
	"context"
	"expvar"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// starting is taken while an etcd of this process starts: etcd tells of the raft
// of the last one alone.
var starting = make(chan struct{}, 1)

// elect has the only member lead as soon as it has read its log, rather than after
// the election timeout, which would be most of a start. It returns when etcd takes
// writes or ends, or with ctx.
func (n *node) elect(ctx context.Context) {
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			if s, ok := raftStatus(); ok && electable(s) {
				// A leader hands over by this message. An error means that etcd ends.
				_ = n.etcd.Server.Process(ctx, &raftpb.Message{Type: raftpb.MsgTimeoutNow.Enum(), From: &s.ID, To: &s.ID})
			}
		case <-n.etcd.Server.ReadyNotify():
			return
		case <-n.etcd.Server.StopNotify():
			return
		case <-ctx.Done():
			return
		}
	}
}

// electable tells whether a member may be told to lead. Before it has applied all
// that was committed, raft looks through the log for changes of the membership,
// and panics if etcd has shortened it meanwhile.
func electable(s raft.Status) bool {
	return s.RaftState == raft.StateFollower && s.GetCommit() > 0 && s.Applied == s.GetCommit()
}

// raftStatus is the state of raft, which etcd publishes by expvar and nowhere
// else. Without it the election timeout does its work.
func raftStatus() (raft.Status, bool) {
	v, ok := expvar.Get("raft.status").(expvar.Func)
	if !ok {
		return raft.Status{}, false
	}
	s, ok := v.Value().(raft.Status)
	return s, ok && s.HardState != nil
}
