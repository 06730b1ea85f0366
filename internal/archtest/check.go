package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// MaxLines is the longest source file that is allowed. Most hold one idea in
// 85 to 200 lines.
const MaxLines = 600

// Problem is one violation.
type Problem struct {
	Pos  string // file, or file:line
	What string
	Why  string
}

// String is "position: what (why)".
func (p Problem) String() string { return fmt.Sprintf("%s: %s\n\treason: %s", p.Pos, p.What, p.Why) }

// Check walks the tree below root and returns what breaks the rules, in order
// of path.
func Check(root fs.FS, rules []Rule, outside []OutsideRule) ([]Problem, error) {
	c := &checker{rules: map[string]Rule{}, outside: outside, packages: map[string]*pkg{}}
	for _, r := range rules {
		if _, twice := c.rules[r.Package]; twice {
			return nil, fmt.Errorf("rule for %s is there twice", r.Package)
		}
		if r.Why == "" {
			return nil, fmt.Errorf("rule for %s has no reason", r.Package)
		}
		c.rules[r.Package] = r
	}
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			if name != "." && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || base == "bin") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") {
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		return c.file(name, text)
	})
	if err != nil {
		return nil, fmt.Errorf("walk the source tree: %w", err)
	}
	c.docs()
	slices.SortFunc(c.problems, func(a, b Problem) int { return strings.Compare(a.Pos+a.What, b.Pos+b.What) })
	return c.problems, nil
}

type checker struct {
	rules    map[string]Rule
	outside  []OutsideRule
	packages map[string]*pkg
	problems []Problem
}

// pkg gathers what is counted per directory.
type pkg struct {
	source   bool     // has files other than tests
	docs     []string // files that carry a package doc
	testDocs []string
}

// short turns a directory or an import path below Module into the form used in
// rules. The module's root is ".".
func short(dir string) string { return strings.TrimPrefix(dir, "internal/") }

func (c *checker) add(pos, why, format string, args ...any) {
	c.problems = append(c.problems, Problem{Pos: pos, What: fmt.Sprintf(format, args...), Why: why})
}

func (c *checker) file(name string, text []byte) error {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("parse: %w", err)
	}
	dir := short(path.Dir(name))
	test := strings.HasSuffix(name, "_test.go")
	external := strings.HasSuffix(f.Name.Name, "_test")

	p := c.packages[dir]
	if p == nil {
		p = &pkg{}
		c.packages[dir] = p
		if _, known := c.rules[dir]; !known {
			c.add(path.Dir(name), "where a package stands is decided before it is written: give it a row with a reason in internal/archtest/rules.go",
				"package %s is not in the import table", dir)
		}
	}
	p.source = p.source || !test
	switch {
	case f.Doc == nil || external:
	case test:
		p.testDocs = append(p.testDocs, name)
	default:
		p.docs = append(p.docs, name)
	}

	if n := set.File(f.Pos()).LineCount(); n > MaxLines {
		c.add(name, "a file holds one idea", "%d lines are more than %d", n, MaxLines)
	}
	c.imports(set, f, dir, test)
	c.leftovers(set, f)
	if test {
		c.seeds(set, f)
	}
	return nil
}

var leftover = regexp.MustCompile(`\b(TODO|FIXME|XXX)\b`)

// leftovers finds marks of unfinished work in comments.
func (c *checker) leftovers(set *token.FileSet, f *ast.File) {
	for _, group := range f.Comments {
		for _, comment := range group.List {
			if m := leftover.FindString(comment.Text); m != "" {
				c.add(at(set, comment.Pos()), "unfinished work belongs into the issue tracker, where it is seen", "%s in a comment", m)
			}
		}
	}
}

func at(set *token.FileSet, pos token.Pos) string {
	p := set.Position(pos)
	return p.Filename + ":" + strconv.Itoa(p.Line)
}

// docs demands exactly one package doc per directory. A directory of tests
// alone carries it in a test.
func (c *checker) docs() {
	for dir, p := range c.packages {
		docs := p.docs
		if !p.source {
			docs = p.testDocs
		}
		const why = "the package doc is where a reader begins"
		switch len(docs) {
		case 1:
		case 0:
			c.add(dir, why, "package has no doc")
		default:
			slices.Sort(docs)
			c.add(dir, why, "package has several docs: %s", strings.Join(docs, ", "))
		}
	}
}

// seeds demands that every fuzz target has seeds in its own text, so that they
// run as ordinary tests everywhere.
func (c *checker) seeds(set *token.FileSet, f *ast.File) {
	for _, decl := range f.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Recv != nil || !strings.HasPrefix(fn.Name.Name, "Fuzz") || fn.Body == nil {
			continue
		}
		seeded := false
		ast.Inspect(fn.Body, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Add" {
				seeded = true
			}
			return !seeded
		})
		if !seeded {
			c.add(at(set, fn.Pos()), "seeds run as ordinary tests, so that every run meets the known hard cases", "%s adds no seed", fn.Name.Name)
		}
	}
}
