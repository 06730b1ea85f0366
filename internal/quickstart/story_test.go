package quickstart

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
)

// TestUntrueClaims: a claim that does not hold is told at once and decides the
// outcome, whatever holds beside it.
func TestUntrueClaims(t *testing.T) {
	var out bytes.Buffer
	s := &story{Config: Config{Out: &out}}
	s.claim("the sky is up", nil, nil)
	if err := s.verdict(); err != nil {
		t.Errorf("with true claims only: %v", err)
	}
	s.claim("pigs fly", nil, errors.New("first fault"), errors.New("second fault"))
	s.claim("water is wet")
	err := s.verdict()
	if err == nil || !strings.Contains(err.Error(), "1 of 3 claims did not hold") || !strings.Contains(err.Error(), "pigs fly") {
		t.Errorf("verdict is %v", err)
	}
	want := "ok the sky is up\nNOT TRUE: pigs fly\n   first fault\n   second fault\nok water is wet\n"
	if out.String() != want {
		t.Errorf("told\n%swant\n%s", out.String(), want)
	}
}

// TestStoryEndsWithTheFirstFailingCall: no chapter goes on without its calls.
func TestStoryEndsWithTheFirstFailingCall(t *testing.T) {
	var out bytes.Buffer
	calls := 0
	_, closeSamples, err := Run(t.Context(), Config{
		Command: func(context.Context, ...string) ([]byte, error) {
			calls++
			if calls == 2 {
				return nil, errors.New("no such luck")
			}
			return []byte("fine"), nil
		},
		Quote: func(w string) string { return w },
		Out:   &out,
	})
	defer closeSamples()
	if err == nil || !strings.Contains(err.Error(), "openslb server add: no such luck") || calls != 2 {
		t.Errorf("after %d calls: %v", calls, err)
	}
	if !strings.Contains(out.String(), "$ openslb server add "+serverIDs[0]+" --ip 127.2.0.11 --name sample-1\nfine\n") {
		t.Errorf("told\n%s", out.String())
	}
}
