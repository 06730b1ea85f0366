package etcdkv

import (
	"testing"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

func TestElectable(t *testing.T) {
	for _, c := range []struct {
		role            raft.StateType
		commit, applied uint64
		electable       bool
		why             string
	}{
		{raft.StateFollower, 0, 0, false, "it has not read its log"},
		{raft.StateFollower, 5, 0, false, "nothing is applied yet"},
		{raft.StateFollower, 5, 4, false, "one entry is not applied yet"},
		{raft.StateFollower, 5, 5, true, "it may lead"},
		{raft.StateCandidate, 5, 5, false, "it has been told"},
		{raft.StateLeader, 5, 5, false, "it leads"},
	} {
		s := raft.Status{BasicStatus: raft.BasicStatus{
			HardState: &raftpb.HardState{Commit: &c.commit}, SoftState: raft.SoftState{RaftState: c.role}, Applied: c.applied,
		}}
		if got := electable(s); got != c.electable {
			t.Errorf("%s: electable is %v", c.why, got)
		}
	}
}

// TestRaftTellsItsStatus guards what a quick start rests on: without it a node
// would start all the same, some seconds later.
func TestRaftTellsItsStatus(t *testing.T) {
	open(t, nil)
	if s, ok := raftStatus(); !ok || s.RaftState != raft.StateLeader || s.GetCommit() == 0 {
		t.Errorf("the status is %+v, %v", s, ok)
	}
}
