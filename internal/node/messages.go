package node

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/openslb/openslb/internal/dataplane"
	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/handover"
)

// What the messages of a handover carry, as JSON. docs/design/0003-handover.md
// has the course; fields may be added, and what a side does not know it passes
// over.

type helloBody struct {
	Version string // of the program
}

type welcomeBody struct {
	Version string
	Listen  string // as the API's address was given
	PID     int
}

// estateBody comes with the descriptors of the lock, of the API's port, and of
// the engine's sockets.
type estateBody struct {
	Engine *dataplane.Estate
}

type memoryBody struct {
	Frontend spec.FrontendID
	Memory   []byte
}

type commitBody struct {
	API string // host:port by which a client on this machine reaches it
}

// The bounds of the steps. A node with many listeners needs most for its start,
// which Config.HandoverTimeout bounds.
const (
	greetTimeout  = 10 * time.Second // each of hello and welcome
	decideTimeout = 60 * time.Second // for the new one to look at its settings
	passTimeout   = 10 * time.Second // each message from then on
	// heldTimeout bounds the time in which neither side takes in traffic. It is a
	// matter of milliseconds as a rule.
	heldTimeout = 5 * time.Second
	// restoreTimeout bounds the opening of the store after a handover that failed.
	restoreTimeout = 30 * time.Second
	// endTimeout is how long a new process that has failed may take to end.
	endTimeout = time.Second
)

func message(k handover.Kind, body any, fds ...int) (handover.Message, error) {
	m := handover.Message{Kind: k, FDs: fds}
	if body == nil {
		return m, nil
	}
	var err error
	if m.Body, err = json.Marshal(body); err != nil {
		err = fmt.Errorf("handover: write %v: %w", k, err)
	}
	return m, err
}

func readBody(m *handover.Message, into any) error {
	if err := json.Unmarshal(m.Body, into); err != nil {
		return fmt.Errorf("handover: read %v: %w", m.Kind, err)
	}
	return nil
}
