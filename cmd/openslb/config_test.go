package main

import (
	"bytes"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// parseServe parses a command line of serve without running it.
func parseServe(t *testing.T, args ...string) (serveCmd, error) {
	t.Helper()
	var grammar cli
	parser, err := newParserFor(&grammar, streams{out: io.Discard, err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(append([]string{"serve"}, args...))
	return grammar.Serve, err
}

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "openslb.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestDefaults(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", "/xdg")
	got, err := parseServe(t)
	if err != nil {
		t.Fatal(err)
	}
	want := serveCmd{
		Data: "/xdg/openslb", Listen: "127.0.0.1:8680", Region: "cn-hangzhou",
		InternetPool: []netip.Prefix{netip.MustParsePrefix("127.1.0.0/17")},
		IntranetPool: []netip.Prefix{netip.MustParsePrefix("127.1.128.0/17")},
		SourceMode:   "proxy", DrainTimeout: 10 * time.Second, LogFormat: "auto", LogLevel: "info",
		HandoverTimeout: 30 * time.Second, HandoverDrain: time.Hour,
		LogFileSize: 100, LogFilePeriod: 24 * time.Hour, LogFileKeep: 7 * 24 * time.Hour, LogFileCount: 100, TraceRatio: 1, TraceParents: "all", TraceService: "openslb",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestReadmeListsSettings: the table in the README has a row for each flag of
// serve, and none for what is no flag.
func TestReadmeListsSettings(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		cell, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
		if !strings.HasPrefix(line, "| `--") {
			continue
		}
		for _, flag := range regexp.MustCompile("`--([a-z-]+)`").FindAllStringSubmatch(cell, -1) {
			listed[flag[1]] = true
		}
	}
	var grammar cli
	parser, err := newParserFor(&grammar, streams{out: io.Discard, err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range parser.Model.Children {
		if command.Name != "serve" {
			continue
		}
		for _, flag := range command.Flags {
			if !listed[flag.Name] {
				t.Errorf("--%s is not listed", flag.Name)
			}
			delete(listed, flag.Name)
		}
	}
	for name := range listed {
		t.Errorf("--%s is listed and no flag", name)
	}
}

// TestPrecedence: defaults < file < environment < flags, for every pair.
func TestPrecedence(t *testing.T) {
	file := writeConfig(t, `
listen: 127.0.0.1:1
region: file
log-level: debug
dev: true
drain-timeout: 3s
internet-pool: [10.0.0.0/24, 10.0.1.0/24]
server-name: [a.example, b.example]
`)
	t.Setenv("OPENSLB_LISTEN", "127.0.0.1:2")
	t.Setenv("OPENSLB_REGION", "env")
	got, err := parseServe(t, "--config", file, "--listen", "127.0.0.1:3")
	if err != nil {
		t.Fatal(err)
	}
	check := func(name string, got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	check("listen, in all four", got.Listen, "127.0.0.1:3")
	check("region, in file and environment", got.Region, "env")
	check("log-level, in the file", got.LogLevel, "debug")
	check("log-format, nowhere", got.LogFormat, "auto")
	check("dev", got.Dev, true)
	check("drain-timeout", got.DrainTimeout, 3*time.Second)
	check("internet-pool", got.InternetPool, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("10.0.1.0/24")})
	check("server-name", got.ServerName, []string{"a.example", "b.example"})
}

func TestConfigFromEnvironment(t *testing.T) {
	t.Setenv("OPENSLB_CONFIG", writeConfig(t, "region: file\n"))
	got, err := parseServe(t)
	if err != nil || got.Region != "file" {
		t.Errorf("region %q, %v; want it from the file that OPENSLB_CONFIG names", got.Region, err)
	}
	got, err = parseServe(t, "--config", writeConfig(t, "region: other\n"))
	if err != nil || got.Region != "other" {
		t.Errorf("region %q, %v; want it from the file of the flag", got.Region, err)
	}
}

func TestConfigErrors(t *testing.T) {
	tests := []struct{ name, text, part string }{
		{"unknown key", "lisen: 127.0.0.1:1\n", `unknown key "lisen"; the keys are data, listen`},
		{"section", "api:\n  listen: x\n", `unknown key "api.listen"`},
		{"config in config", "config: x\n", `unknown key "config"`},
		{"not YAML", "listen: [\n", "openslb.yaml"},
		{"malformed value", "internet-pool: [10.0.0]\n", "internet-pool"},
		{"value outside of the enum", "log-level: loud\n", "log-level"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseServe(t, "--config", writeConfig(t, tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.part) {
				t.Errorf("error %v, want one with %q", err, tt.part)
			}
		})
	}
	if _, err := parseServe(t, "--config", "/does/not/exist.yaml"); err == nil {
		t.Error("a missing config file is no error")
	}
}

// TestQuotas: a section of the file, overridden name by name.
func TestQuotas(t *testing.T) {
	file := writeConfig(t, "quotas:\n  slbs-per-user: 500\n  Entries-per-ACL: -1\n  listeners-per-slb: 7\n")
	got, err := parseServe(t, "--config", file, "--quota", "slbs-per-user=9", "--quota=rules-per-listener=-1;acls-per-region=0")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"slbs-per-user": 9, "entries-per-acl": -1, "listeners-per-slb": 7, "rules-per-listener": -1, "acls-per-region": 0}
	if all := got.allQuotas(); !reflect.DeepEqual(all, want) {
		t.Errorf("quotas %v, want %v", all, want)
	}
	t.Setenv("OPENSLB_QUOTA", "slbs-per-user=4")
	if got, err := parseServe(t, "--config", file); err != nil || got.allQuotas()["slbs-per-user"] != 4 || got.allQuotas()["listeners-per-slb"] != 7 {
		t.Errorf("quotas %v, %v", got.allQuotas(), err)
	}
	for _, args := range [][]string{
		{"--quota", "slbs=4"}, {"--quota", "slbs-per-user=-2"}, {"--quota", "slbs-per-user=many"}, {"--quota", "slbs-per-user"},
		{"--config", writeConfig(t, "quotas:\n  slbs: 4\n")}, {"--config", writeConfig(t, "quotas:\n  slbs-per-user: many\n")},
		{"--config", writeConfig(t, "quotas: 4\n")},
	} {
		if _, err := parseServe(t, args...); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
	var out bytes.Buffer
	run(t.Context(), []string{"serve", "--help"}, streams{out: &out, err: io.Discard})
	for _, part := range []string{"slbs-per-user (60)", "registered-servers (no", "-1 is no limit, 0 the default"} {
		if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), part) {
			t.Errorf("help lacks %q", part)
		}
	}
}

// TestHelpShowsEverySetting: serve --help names each flag with its variable.
func TestHelpShowsEverySetting(t *testing.T) {
	var out bytes.Buffer
	if code := run(t.Context(), []string{"serve", "--help"}, streams{out: &out, err: io.Discard}); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	parser, err := newParser(streams{out: io.Discard, err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	flags := serveFlags(parser.Model)
	if len(flags) < 10 {
		t.Fatalf("only %d flags found", len(flags))
	}
	for _, f := range flags {
		for _, part := range []string{"--" + f.Name, "$OPENSLB_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))} {
			if !strings.Contains(out.String(), part) {
				t.Errorf("help does not show %s", part)
			}
		}
	}
}

func TestExitCodes(t *testing.T) {
	tests := []struct {
		name string
		args []string
		code int
		out  string // part of stdout
		err  string // part of stderr
	}{
		{"nothing", nil, exitOK, "quickstart", ""},
		{"version", []string{"version"}, exitOK, "openslb", ""},
		{"version as a flag", []string{"--version"}, exitOK, "openslb", ""},
		{"help", []string{"help"}, exitOK, "quickstart", ""},
		{"help on a command", []string{"help", "server", "add"}, exitOK, "--ip", ""},
		{"unknown command", []string{"serf"}, exitUsage, "", "serf"},
		{"unknown flag", []string{"serve", "--lisen=x"}, exitUsage, "", "openslb serve --help"},
		{"trace endpoint without a scheme", []string{"serve", "--trace-endpoint=localhost:4318"}, exitUsage, "", "want scheme://host:port"},
		{"trace ratio beyond all", []string{"serve", "--trace-ratio=1.5"}, exitUsage, "", "0 to 1"},
		{"trace parents of nobody", []string{"serve", "--trace-parents=some"}, exitUsage, "", "all"},
		{"missing argument", []string{"call"}, exitUsage, "", "expected"},
		{"failure", []string{"call", "DescribeRegions", "--key-id=x", "--key-secret=y", "--endpoint=127.0.0.1:1"}, exitFailure, "", "refused"},
	}
	t.Setenv("OPENSLB_DATA", t.TempDir())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			if code := run(t.Context(), tt.args, streams{in: strings.NewReader(""), out: &out, err: &errs}); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if !strings.Contains(out.String(), tt.out) || !strings.Contains(errs.String(), tt.err) {
				t.Errorf("stdout %q\nstderr %q", out.String(), errs.String())
			}
			if tt.code == exitOK && errs.Len() > 0 {
				t.Errorf("stderr of a success: %q", errs.String())
			}
		})
	}
}

var _ kong.Resolver = (*configFile)(nil)
