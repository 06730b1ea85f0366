package node

import (
	"fmt"
	"io"
	"net/http"
	"time"
)

// serveHealth answers 200 as long as the node does its work; with another answer
// it is to be started anew. A supervisor asks it; no key is needed.
func (n *Node) serveHealth(w http.ResponseWriter, _ *http.Request) {
	n.tell(w, "")
}

// serveReady answers 200 as long as the node takes changes too. A node that does
// not goes on with the traffic, and a new start would not help it.
func (n *Node) serveReady(w http.ResponseWriter, _ *http.Request) {
	text := ""
	if ok, since := n.store.Reachable(); !ok {
		text = fmt.Sprintf("the store cannot be reached since %s; traffic goes on, changes are refused", since.UTC().Format(time.RFC3339))
	}
	n.tell(w, text)
}

// tell answers what is wrong, if anything is.
func (n *Node) tell(w http.ResponseWriter, wrong string) {
	select {
	case <-n.failed:
		wrong = "failed"
	default:
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if wrong != "" {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, wrong+"\n") // whoever asked may be gone
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}
