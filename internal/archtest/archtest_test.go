package archtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// TestTree applies the rules to the real tree.
func TestTree(t *testing.T) {
	root := filepath.Join("..", "..")
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatalf("not at the module's root: %v", err)
	}
	problems, err := Check(os.DirFS(root), Rules, Outside)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
}

// TestChecker proves on small made-up trees that each check can fail, and that
// what is allowed passes.
func TestChecker(t *testing.T) {
	rules := []Rule{
		{Package: "a", May: []string{"b"}, Tests: []string{"c"}, Why: "a is above b"},
		{Package: "b", Why: "b is at the bottom"},
		{Package: "c", May: []string{"d/..."}, Why: "c sees the d family"},
		{Package: "d/e", Why: "d/e is at the bottom"},
		{Package: "node", May: []string{"..."}, Why: "node knows all"},
		{Package: "cmd/x", May: []string{"node"}, Why: "main"},
	}
	outside := []OutsideRule{
		{Path: "net/http", Only: []string{"b"}, Tests: []string{"a"}, Why: "http is for b"},
		{Path: "net/http/httputil", Why: "nobody"},
	}
	const m = Module + "/internal/"
	doc := "// Package p does things.\n"
	imp := func(paths ...string) string { return "import (\n_ \"" + strings.Join(paths, "\"\n_ \"") + "\"\n)\n" }

	for _, tc := range []struct {
		name  string
		files map[string]string
		want  string // substring of the only problem; empty: none
	}{
		{"allowed", map[string]string{"internal/a/a.go": doc + "package a\n" + imp(m+"b", "fmt")}, ""},
		{"forbidden", map[string]string{"internal/b/b.go": doc + "package b\n" + imp(m+"a")}, "internal/b/b.go:4: b must not import a\n\treason: b is at the bottom"},
		{"forbidden in a test", map[string]string{
			"internal/b/b.go":      doc + "package b\n",
			"internal/b/b_test.go": "package b\n" + imp(m+"a"),
		}, "b must not import a"},
		{"allowed in a test only", map[string]string{
			"internal/a/a.go":      doc + "package a\n",
			"internal/a/a_test.go": "package a_test\n" + imp(m+"c", m+"a", m+"testutil"),
		}, ""},
		{"test import in source", map[string]string{"internal/a/a.go": doc + "package a\n" + imp(m+"c")}, "a must not import c"},
		{"testutil in source", map[string]string{"internal/a/a.go": doc + "package a\n" + imp(m+"testutil")}, "a must not import testutil"},
		{"family", map[string]string{"internal/c/c.go": doc + "package c\n" + imp(m+"d/e")}, ""},
		{"name that only begins alike", map[string]string{"internal/c/c.go": doc + "package c\n" + imp(m+"dx")}, "c must not import dx"},
		{"node for main", map[string]string{"cmd/x/x.go": doc + "package main\n" + imp(m+"node")}, ""},
		{"node for others", map[string]string{"internal/a/a.go": doc + "package a\n" + imp(m+"node")}, "nobody may know node"},
		{"all for node", map[string]string{"internal/node/n.go": doc + "package node\n" + imp(m+"a", m+"d/e")}, ""},
		{"unlisted", map[string]string{"internal/new/n.go": doc + "package new\n"}, "package new is not in the import table"},
		{"http allowed", map[string]string{"internal/b/b.go": doc + "package b\n" + imp("net/http")}, ""},
		{"http in tests", map[string]string{
			"internal/a/a.go":      doc + "package a\n",
			"internal/a/a_test.go": "package a\n" + imp("net/http", "net/http/httptest"),
		}, ""},
		{"http forbidden", map[string]string{"internal/a/a.go": doc + "package a\n" + imp("net/http")}, "http is for b"},
		{"longest path decides", map[string]string{"internal/b/b.go": doc + "package b\n" + imp("net/http/httputil")}, "nobody"},
		{"no doc", map[string]string{"internal/a/a.go": "package a\n"}, "package has no doc"},
		{"two docs", map[string]string{
			"internal/a/a.go": doc + "package a\n",
			"internal/a/b.go": doc + "package a\n",
		}, "package has several docs: internal/a/a.go, internal/a/b.go"},
		{"doc in a directory of tests", map[string]string{"internal/a/a_test.go": doc + "package a\n"}, ""},
		{"leftover", map[string]string{"internal/a/a.go": doc + "package a\n\n// " + "TO" + "DO: more\n"}, "internal/a/a.go:4"},
		{"leftover word in text", map[string]string{"internal/a/a.go": doc + "package a\n\nconst s = \"TO" + "DO\"\n"}, ""},
		{"long file", map[string]string{"internal/a/a.go": doc + "package a\n" + strings.Repeat("\n", MaxLines)}, "lines are more than"},
		{"fuzz without seeds", map[string]string{"internal/a/a_test.go": doc + "package a\nfunc FuzzX(f *testing.F) { f.Fuzz(func(t *testing.T, b []byte) {}) }\n"}, "internal/a/a_test.go:3: FuzzX adds no seed"},
		{"fuzz with seeds", map[string]string{"internal/a/a_test.go": doc + "package a\nfunc FuzzX(f *testing.F) { f.Add(1) }\n"}, ""},
		{"other folders", map[string]string{
			"internal/a/testdata/x.go": "package broken\n" + imp(m+"node"),
			".git/x.go":                "not go",
			"bin/x.go":                 "not go",
		}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tree := fstest.MapFS{}
			for name, text := range tc.files {
				tree[name] = &fstest.MapFile{Data: []byte(text)}
			}
			got, err := Check(tree, rules, outside)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case tc.want == "" && len(got) > 0:
				t.Errorf("unexpected: %v", got)
			case tc.want != "" && (len(got) != 1 || !strings.Contains(got[0].String(), tc.want)):
				t.Errorf("got %v, want one problem with %q", got, tc.want)
			}
		})
	}
}

// TestRules demands that the table itself is sound.
func TestRules(t *testing.T) {
	bad := fstest.MapFS{"internal/a/a.go": &fstest.MapFile{Data: []byte("pack age")}}
	if _, err := Check(bad, nil, nil); err == nil {
		t.Error("a file that does not parse is passed over")
	}
	if _, err := Check(fstest.MapFS{}, []Rule{{Package: "a", Why: "x"}, {Package: "a", Why: "y"}}, nil); err == nil {
		t.Error("a package may stand in the table twice")
	}
	if _, err := Check(fstest.MapFS{}, []Rule{{Package: "a"}}, nil); err == nil {
		t.Error("a rule may go without a reason")
	}
}
