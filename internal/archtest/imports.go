package archtest

import (
	"go/ast"
	"go/token"
	"strconv"
	"strings"
)

// imports checks every import of one file against both tables.
func (c *checker) imports(set *token.FileSet, f *ast.File, dir string, test bool) {
	rule := c.rules[dir]
	for _, spec := range f.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has accepted it, so that this cannot be
		}
		pos := at(set, spec.Pos())
		if target == Module || strings.HasPrefix(target, Module+"/") {
			c.inside(pos, rule, dir, short(strings.TrimPrefix(strings.TrimPrefix(target, Module), "/")), test)
			continue
		}
		c.fromOutside(pos, dir, target, test)
	}
}

func (c *checker) inside(pos string, rule Rule, dir, target string, test bool) {
	if target == dir || within(target, rule.May) {
		return // a package's external tests import the package itself
	}
	if test && (target == "testutil" || within(target, rule.Tests)) {
		return
	}
	why := rule.Why
	if target == "node" {
		why = nodeWhy
	}
	if why == "" {
		why = "the package is not in the import table"
	}
	c.add(pos, why, "%s must not import %s", dir, target)
}

// fromOutside applies the most specific rule for the path, if there is one.
func (c *checker) fromOutside(pos, dir, target string, test bool) {
	var best *OutsideRule
	for i := range c.outside {
		r := &c.outside[i]
		if (target == r.Path || strings.HasPrefix(target, r.Path+"/")) && (best == nil || len(r.Path) > len(best.Path)) {
			best = r
		}
	}
	if best == nil || within(dir, best.Only) || test && within(dir, best.Tests) {
		return
	}
	c.add(pos, best.Why, "%s must not import %s", dir, target)
}

// within reports whether a package is covered by one of the patterns.
func within(pkg string, patterns []string) bool {
	for _, p := range patterns {
		base, tree := strings.CutSuffix(p, "...")
		base = strings.TrimSuffix(base, "/")
		switch {
		case tree && base == "", pkg == base, tree && strings.HasPrefix(pkg, base+"/"):
			return true
		}
	}
	return false
}
