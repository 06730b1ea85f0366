package api

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/rpc"
)

// actionsFile is the document that this test writes and compares.
var actionsFile = filepath.Join("..", "..", "docs", "actions.md")

// coverage joins the published list with the table of actions.
type coverage struct {
	t      testing.TB
	table  map[string]rpc.ActionInfo // of the product Slb
	counts map[effect]int
	used   map[string]bool // rows of effects and omitted that met something
	whole  int             // actions without a missing part
}

func newCoverage(t testing.TB) *coverage {
	c := &coverage{t: t, table: map[string]rpc.ActionInfo{}, counts: map[effect]int{}, used: map[string]bool{}}
	for _, a := range rpc.NewMux(newWorld(t).server.Products()...).Actions() {
		if a.Product == "Slb" {
			c.table[a.Name] = a
		}
	}
	return c
}

// find is the parameter of the action's struct that reads the published name.
func find(a rpc.ActionInfo, name string) (rpc.ParamInfo, bool) {
	for _, p := range a.Params {
		if p.Name == name || slices.Contains(p.Aliases, name) {
			return p, true
		}
	}
	return rpc.ParamInfo{}, false
}

// effectOf tells what a parameter does. Whatever the table says, a parameter that
// no struct has is missing, unless it is declared as passed over or refused.
func (c *coverage) effectOf(action, param string, there bool) (effect, string) {
	e, reason := works, ""
	for _, row := range effects {
		if row.param == param && (row.action == action || row.action == "*" && e == works) {
			e, reason = row.effect, row.reason
			c.used["effects "+row.action+" "+row.param] = true
		}
	}
	if !there && e != passedOver && e != refused {
		return absent, ""
	}
	return e, reason
}

// kindOf is the type of a parameter in the words of the published list.
func kindOf(p rpc.ParamInfo) string {
	switch {
	case strings.HasPrefix(p.Type, "JSON"):
		return "string json"
	case p.Type == "repeated object":
		return "objects"
	case strings.HasPrefix(p.Type, "repeated"):
		return "strings"
	}
	return p.Type
}

// limits describes a parameter as it is here.
func limits(p rpc.ParamInfo) string {
	words := []string{kindOf(p)}
	if p.Required {
		words = append(words, "required")
	}
	if p.Range != "" {
		words = append(words, p.Range)
	}
	if p.MaxLen > 0 {
		words = append(words, fmt.Sprintf("len %d..%d", max(p.MinLen, 0), p.MaxLen))
	}
	if p.Default != "" {
		words = append(words, "default "+p.Default)
	}
	return strings.ReplaceAll(strings.Join(words, ", "), "|", " or ")
}

// differs says where a page and the struct disagree, in the page's words.
func differs(f publishedField, p rpc.ParamInfo) string {
	var out []string
	kind := f.kind
	if f.form == "json" {
		kind += " json"
	}
	if kind != kindOf(p) && !(f.form == "commas" && kindOf(p) == "string") {
		out = append(out, kind)
	}
	switch {
	case f.required && !p.Required:
		out = append(out, "required")
	case !f.required && p.Required:
		out = append(out, "optional")
	}
	if f.span != "" && f.span != p.Range {
		out = append(out, f.span)
	}
	if f.length != "" {
		if _, longest, _ := strings.Cut(f.length, ".."); longest != fmt.Sprint(p.MaxLen) {
			out = append(out, "len "+f.length)
		}
	}
	return strings.Join(out, ", ")
}

// leaves flattens an answer to paths and types.
func leaves(prefix string, fields []rpc.ResultInfo) map[string]string {
	out := map[string]string{}
	for _, f := range fields {
		path := prefix + f.Path
		if f.Fields != nil {
			maps.Copy(out, leaves(path+".", f.Fields))
			continue
		}
		out[path] = f.Type
		if f.List {
			out[path] += "[]"
		}
	}
	return out
}

// answerNotes compares the fields of an answer.
func (c *coverage) answerNotes(a publishedAction, info rpc.ActionInfo) []string {
	here := leaves("", info.Result)
	var notes []string
	for _, f := range a.answer {
		kind, there := here[f.name]
		if there {
			if kind != f.kind {
				c.t.Errorf("%s answers %s as %s, published is %s", a.name, f.name, kind, f.kind)
			}
			delete(here, f.name)
			continue
		}
		note := "missing: `" + f.name + "`"
		for _, o := range omitted {
			if o.path == f.name && (o.action == a.name || o.action == "*") {
				note = "left out: `" + f.name + "` (" + o.reason + ")"
				c.used["omitted "+o.action+" "+o.path] = true
			}
		}
		if strings.HasPrefix(note, "missing") {
			c.counts["field"]++
		}
		notes = append(notes, note)
	}
	for _, path := range slices.Sorted(maps.Keys(here)) {
		notes = append(notes, "beside the published fields: `"+path+"`")
	}
	return notes
}

func (c *coverage) action(b *strings.Builder, a publishedAction) {
	info, there := c.table[a.name]
	fmt.Fprintf(b, "\n### %s\n\n", a.name)
	if !there {
		fmt.Fprintf(b, "**missing**\n")
		c.counts[absent] += len(a.params)
		return
	}
	before := c.counts[absent] + c.counts["field"]
	fmt.Fprint(b, "| parameter | | here | published, if other | reason |\n| --- | --- | --- | --- | --- |\n")
	for _, f := range a.params {
		p, there := find(info, f.name)
		e, reason := c.effectOf(a.name, f.name, there)
		c.counts[e]++
		here, other := "", ""
		if there {
			here, other = limits(p), differs(f, p)
		}
		if e != works {
			e = "**" + e + "**"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n", f.name, e, here, other, reason)
	}
	if len(a.params) == 0 {
		fmt.Fprint(b, "| none | | | | |\n")
	}
	if notes := c.answerNotes(a, info); len(notes) > 0 {
		fmt.Fprintf(b, "\nAnswer: %s.\n", strings.Join(notes, "; "))
	}
	if c.counts[absent]+c.counts["field"] == before {
		c.whole++
	}
}

// document is the whole of docs/actions.md.
func (c *coverage) document() string {
	var body, b strings.Builder
	family := ""
	all := published(c.t)
	for _, a := range all {
		if a.family != family {
			family = a.family
			fmt.Fprintf(&body, "\n## %s%s\n", strings.ToUpper(family[:1]), family[1:])
		}
		c.action(&body, a)
	}
	b.WriteString(`# Actions and parameters

Written by a test from the table of actions and the published list of them; do not edit, run
` + "`go test ./internal/api -run TestActionsDocument -update`" + ` instead. [divergences.md](divergences.md) tells more about what differs.

*Works*: checked and in effect. *Stored only*: checked,
kept, told in answers, no effect on traffic. *Checked only*: a wrong value is an error, a right one has no effect. *Passed
over*: no value has an effect. Every action also takes ` + "`OwnerId`" + ` and its
three relatives, which are passed over.

| | parameters |
| --- | --- |
`)
	for _, e := range []effect{works, storedOnly, checkedOnly, passedOver, refused, absent} {
		fmt.Fprintf(&b, "| %s | %d |\n", e, c.counts[e])
	}
	fmt.Fprintf(&b, "\nOf %d published actions %d are whole; %d fields of answers are missing.\n", len(all), c.whole, c.counts["field"])
	b.WriteString(body.String())
	return b.String()
}

// TestActionsDocument keeps docs/actions.md true.
func TestActionsDocument(t *testing.T) {
	c := newCoverage(t)
	got := c.document()
	for _, row := range effects {
		if !c.used["effects "+row.action+" "+row.param] {
			t.Errorf("effects: %s has no published parameter %s", row.action, row.param)
		}
	}
	for _, o := range omitted {
		if !c.used["omitted "+o.action+" "+o.path] {
			t.Errorf("omitted: %s answers %s, or nobody publishes it", o.action, o.path)
		}
	}
	if c.counts[absent] > 0 || c.counts["field"] > 0 || c.whole != 93 {
		t.Errorf("%d parameters and %d fields of answers are missing, %d actions are whole", c.counts[absent], c.counts["field"], c.whole)
	}
	if *update {
		if err := os.WriteFile(actionsFile, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(actionsFile)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is stale: run with -update and look at what changed", actionsFile)
	}
}

// TestActionsArePublished: nothing in the product Slb that is of our own making.
func TestActionsArePublished(t *testing.T) {
	names := map[string]bool{}
	for _, a := range published(t) {
		names[a.name] = true
	}
	for name := range newCoverage(t).table {
		if !names[name] {
			t.Errorf("%s is not a published action", name)
		}
	}
}

// TestParamsAreRead: a field with a param tag that no code looks at does nothing,
// whatever docs/actions.md says. Names are compared without types, so that a
// namesake elsewhere can hide one; checkedOnly fields may stay unread.
func TestParamsAreRead(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	declared, read := map[string]string{}, map[string]bool{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				read[n.Sel.Name] = true
			case *ast.Field:
				if n.Tag == nil || len(n.Names) != 1 {
					break
				}
				tag, ok := reflect.StructTag(strings.Trim(n.Tag.Value, "`")).Lookup("param")
				if ok {
					wire, _, _ := strings.Cut(tag, ",")
					declared[n.Names[0].Name] = wire
				}
			}
			return true
		})
	}
	idle := map[string]bool{}
	for _, row := range effects {
		idle[row.param] = row.effect == checkedOnly || row.effect == passedOver
	}
	for _, param := range unread {
		idle[param] = true
	}
	for field, wire := range declared {
		if !read[field] && !idle[strings.TrimSuffix(wire, ".N")] {
			t.Errorf("no code reads the field %s of parameter %s: give it a meaning, or declare it in effects", field, wire)
		}
	}
	if len(declared) < 100 {
		t.Errorf("only %d parameters found", len(declared))
	}
}
