package testutil

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"testing"
)

// Child is a process that answers every JSON value on its standard input by a
// line with another on its standard output, and ends with its input.
type Child struct {
	name string
	in   *json.Encoder
	out  *bufio.Reader
}

// StartChild starts the command. The process ends with the test, and has to end
// well.
func StartChild(t testing.TB, name string, cmd *exec.Cmd) *Child {
	t.Helper()
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s ended badly: %v", name, err)
		}
	})
	return &Child{name: name, in: json.NewEncoder(in), out: bufio.NewReader(out)}
}

// Ask sends a question and reads the answer.
func (c *Child) Ask(t testing.TB, question, answer any) {
	t.Helper()
	if err := c.in.Encode(question); err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("%s has ended: %v", c.name, err)
	}
	if err := json.Unmarshal(line, answer); err != nil {
		t.Fatalf("%s: %v: %s", c.name, err, line)
	}
}
