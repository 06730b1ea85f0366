package quickstart

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Config is what the story needs from its surroundings.
type Config struct {
	// Command runs one openslb command line, without the program's name, against
	// the node and returns what it wrote to standard output. The story prints the
	// very words that it hands over.
	Command func(ctx context.Context, words ...string) ([]byte, error)
	// Format lays an answer out for reading. Nil: as it came.
	Format func(answer []byte) []byte
	// Quote writes a word so that a shell reads it back unchanged.
	Quote func(word string) string
	Out   io.Writer
	Color bool
}

// Result is what the story leaves behind.
type Result struct {
	LoadBalancerID   string
	HTTPURL, TCPAddr string
	Claims           int // how many claims were checked
}

// story is one telling.
type story struct {
	Config
	samples  []*sample
	lb       string
	address  string
	httpPort int
	tcpPort  int
	claims   int
	untrue   []string // the claims that did not hold
}

// style is an ANSI colour, used only when Config.Color is set.
type style string

const (
	bold  style = "\x1b[1m"
	dim   style = "\x1b[2m"
	red   style = "\x1b[31m"
	green style = "\x1b[32m"
	cyan  style = "\x1b[36m"
)

func (s *story) paint(st style, text string) string {
	if !s.Color {
		return text
	}
	return string(st) + text + "\x1b[0m"
}

func (s *story) title(n int, text string) {
	fmt.Fprintf(s.Out, "\n%s\n", s.paint(bold, fmt.Sprintf("%d. %s", n, text)))
}

func (s *story) note(format string, args ...any) { fmt.Fprintf(s.Out, format+"\n", args...) }

// claim checks what the story asserts, and tells every fault.
func (s *story) claim(text string, faults ...error) {
	s.claims++
	err := errors.Join(faults...)
	if err == nil {
		s.note("%s %s", s.paint(green, "ok"), text)
		return
	}
	s.note("%s %s", s.paint(red, "NOT TRUE:"), text)
	for line := range strings.Lines(err.Error()) {
		s.note("   %s", strings.TrimSuffix(line, "\n"))
	}
	s.untrue = append(s.untrue, text)
}

// verdict is nil when every claim so far held.
func (s *story) verdict() error {
	if len(s.untrue) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d claims did not hold, see NOT TRUE above: %s",
		len(s.untrue), s.claims, strings.Join(s.untrue, "; "))
}

// command prints and runs one command line, and prints and decodes its answer.
// answer may be nil.
func (s *story) command(ctx context.Context, answer any, words ...string) error {
	var line strings.Builder
	for _, w := range words {
		line.WriteString(" " + s.Quote(w))
	}
	s.note("%s", s.paint(cyan, "$ openslb"+line.String()))
	out, err := s.Command(ctx, words...)
	if err != nil {
		return fmt.Errorf("openslb %s: %w", strings.Join(words[:2], " "), err)
	}
	shown := out
	if s.Format != nil {
		shown = s.Format(out)
	}
	if text := strings.TrimRight(string(shown), "\n"); text != "" {
		s.note("%s", s.paint(dim, text))
	}
	return decode(words, out, answer)
}

// quiet runs a command without a word about it.
func (s *story) quiet(ctx context.Context, answer any, words ...string) error {
	out, err := s.Command(ctx, words...)
	if err != nil {
		return fmt.Errorf("openslb %s: %w", strings.Join(words[:2], " "), err)
	}
	return decode(words, out, answer)
}

func decode(words []string, out []byte, answer any) error {
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(out, answer); err != nil {
		return fmt.Errorf("openslb %s: read the answer: %w", strings.Join(words[:2], " "), err)
	}
	return nil
}

// measure sends every kind of traffic, prints the distribution and checks it
// against the weights. claim says in words what that shows.
func (s *story) measure(ctx context.Context, shares []share, claim string) {
	httpURL := s.httpURL()
	tcpURL := fmt.Sprintf("http://%s:%d/", s.address, s.tcpPort)
	columns := []column{
		{"HTTP, new conns", send(ctx, httpURL, true)},
		{"HTTP, keep-alive", send(ctx, httpURL, false)},
		{"TCP, new conns", send(ctx, tcpURL, true)},
	}
	s.note("%s", table(shares, columns))
	var faults []error
	for _, c := range columns {
		faults = append(faults, check(shares, c)...)
	}
	s.claim(claim, faults...)
}

func (s *story) httpURL() string { return fmt.Sprintf("http://%s:%d/", s.address, s.httpPort) }
