package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/testutil"
)

// TestMistakes: what is wrong in usage or configuration ends with code 2, and the
// text names the flag, its value and the help.
func TestMistakes(t *testing.T) {
	testutil.NoLeaks(t)
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	missing, plain := filepath.Join(dir, "missing", "file"), file("plain", "text")
	if err := os.Mkdir(filepath.Join(dir, "damaged"), 0o700); err != nil {
		t.Fatal(err)
	}
	file("damaged/credentials", "access_key_id\n")
	t.Setenv("OPENSLB_DATA", filepath.Join(dir, "nothing"))
	t.Setenv("OPENSLB_ENDPOINT", "")
	t.Setenv("HOME", dir)
	t.Setenv(envKeyID, "")
	t.Setenv("OPENSLB_QUOTA", "")

	serve := map[string][]string{
		"listen":           {"nonsense", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:-1", "http://127.0.0.1:8680", "no-such-host.invalid:1"},
		"data":             {"", filepath.Join(plain, "data")},
		"region":           {"a b", "a/b", strings.Repeat("x", 65)},
		"internet-pool":    {"10.0.0.0", "10.0.0.0/33", "224.0.0.0/8", "0.0.0.0/0", "::/0"},
		"intranet-pool":    {"ff00::/8"},
		"servers":          {missing, dir, plain, file("a", "serverz: []"), file("b", "servers: [{id: a b, addresses: [10.0.0.1]}]"), file("c", "servers: [{id: a, addresses: [224.0.0.1]}]")},
		"server-name":      {"a b", "http://a", "*"},
		"quota":            {"slbs=4", "slbs-per-user=-2", "slbs-per-user=many"},
		"source-mode":      {"clear"},
		"probe-source":     {"10.0.0", "127.0.0.1,127.0.0.2"},
		"store-endpoints":  {"foo", "http://", "ftp://127.0.0.1:1", "127.0.0.1:0", "http://u:secret@127.0.0.1:1"},
		"seal-key-file":    {missing, dir, plain},
		"drain-timeout":    {"-1s", "x", "25h", "10"},
		"handover-timeout": {"-1s", "0s", "2h"},
		"handover-drain":   {"-1s", "721h"},
		"access-log-dir":   {plain, filepath.Join(plain, "logs")},
		"log-file-size":    {"0", "-1", "100001", "99999999999999999999"},
		"log-file-period":  {"0s", "-1h", "8761h"},
		"log-file-keep":    {"0s", "-1h", "87601h"},
		"log-file-count":   {"0", "-1", "100001"},
		"trace-endpoint":   {"foo", "http://", "http://h:99999", "http://u:secret@h:1"},
		"trace-ratio":      {"-1", "1.5", "NaN"},
		"trace-parents":    {"some"},
		"log-format":       {"xml"},
		"log-level":        {"loud"},
		"config":           {missing, dir},
	}
	var lines [][]string
	for name, values := range serve {
		for i, value := range values {
			args := []string{"serve", "--data", filepath.Join(dir, fmt.Sprint(name, i)), "--listen", "127.0.0.1:0", "--log-level", "error"}
			lines = append(lines, append(args, "--"+name+"="+value))
		}
	}
	// Not one of the settings is passed over in silence.
	parser, err := newParser(streams{})
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range serveFlags(parser.Model) {
		if serve[flag.Name] == nil && !flag.IsBool() && flag.Name != "trace-service" {
			t.Errorf("no bad value of --%s is tried", flag.Name)
		}
	}
	lines = append(lines,
		[]string{"quickstart", "--exit", "--listen=nonsense"},
		[]string{"quickstart", "--exit", "--data=" + filepath.Join(plain, "x")},
		[]string{"call", "DescribeRegions", "--endpoint=ftp://h"},
		[]string{"call", "DescribeRegions", "--key-id=x"},
		[]string{"call", "DescribeRegions", "--data=" + missing},
		[]string{"server", "list", "--data=" + filepath.Join(dir, "damaged")},
		[]string{"call", "DescribeRegions", "--key-id=x", "--key-secret=y", "--product=Nothing"},
		[]string{"call", "DescribeRegions", "Name"},
		[]string{"call", "DescribeRegions", "A=1", "A=2"},
		[]string{"call", "DescribeRegions", "A=@" + missing},
	)
	for _, args := range lines {
		var out, errs bytes.Buffer
		code := run(t.Context(), args, streams{in: strings.NewReader(""), out: &out, err: &errs})
		text, last := errs.String(), args[len(args)-1]
		name, value, ok := strings.Cut(last, "=")
		if !ok || args[0] == "call" {
			name, value = "", ""
		}
		values := strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == '=' })
		if len(values) > 0 {
			value = values[len(values)-1] // of several, or by name
		}
		if strings.Contains(value, "secret") || len(value) > 60 || strings.HasSuffix(name, "period") || strings.HasSuffix(name, "keep") {
			value = "" // is not shown, or not as it was typed
		}
		if code != exitUsage || !strings.Contains(text, name) || !strings.Contains(text, strings.TrimRight(value, "h0s")) ||
			!strings.Contains(text, "See: openslb "+args[0]) || strings.Contains(text, "secret@") {
			t.Errorf("%q: code %d: %s", args, code, text)
		}
	}
}

// TestRangesInHelp: each number and each length of time has bounds, which help shows.
func TestRangesInHelp(t *testing.T) {
	parser, err := newParser(streams{})
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range serveFlags(parser.Model) {
		switch flag.Target.Interface().(type) {
		case string, bool, []string, map[string]int, float64:
			continue
		}
		if strings.HasSuffix(flag.Name, "-pool") || flag.Name == "probe-source" {
			continue
		}
		least, most, ok := strings.Cut(flag.Tag.Get("range"), "..")
		if !ok || !strings.Contains(flag.Help, least+" to "+most) {
			t.Errorf("--%s has no range, or help does not tell it: %s", flag.Name, flag.Help)
		}
	}
}
