package api

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// publishedAction is one action of testdata/published.txt, which tells its own
// format.
type publishedAction struct {
	name, access, family string
	params, answer       []publishedField
}

// publishedField is a parameter, or a leaf of the answer.
type publishedField struct {
	name, kind string
	required   bool
	form       string // json, commas or ""
	span       string // 1..65535
	length     string // 1..80
	values     string // on|off
}

// published reads the list, in the order of the file.
func published(t testing.TB) []publishedAction {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", "published.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var out []publishedAction
	for lines := bufio.NewScanner(file); lines.Scan(); {
		words := strings.Fields(lines.Text())
		switch {
		case len(words) == 0 || words[0] == "#":
		case words[0] == "action" && len(words) > 3:
			out = append(out, publishedAction{name: words[1], access: words[2], family: strings.Join(words[3:], " ")})
		case words[0] == "in" && len(words) > 2 && len(out) > 0:
			a := &out[len(out)-1]
			a.params = append(a.params, parsePublished(t, words[1:]))
		case words[0] == "out" && len(words) == 3 && len(out) > 0:
			a := &out[len(out)-1]
			a.answer = append(a.answer, publishedField{name: words[1], kind: words[2]})
		default:
			t.Fatalf("%s: cannot read %q", file.Name(), lines.Text())
		}
	}
	return out
}

func parsePublished(t testing.TB, words []string) publishedField {
	t.Helper()
	f := publishedField{name: words[0], kind: words[1]}
	for i := 2; i < len(words); i++ {
		switch w := words[i]; {
		case w == "required":
			f.required = true
		case w == "json", w == "commas":
			f.form = w
		case w == "len" && i+1 < len(words):
			i++
			f.length = words[i]
		case strings.Contains(w, "|"):
			f.values = w
		case strings.Contains(w, ".."):
			f.span = w
		case i == len(words)-1:
			f.values = w // the only one
		default:
			t.Fatalf("parameter %s: what is %q?", f.name, w)
		}
	}
	return f
}

// TestPublishedList guards the test data itself.
func TestPublishedList(t *testing.T) {
	all := published(t)
	params, leaves := 0, 0
	var names []string
	for _, a := range all {
		params += len(a.params)
		leaves += len(a.answer)
		names = append(names, a.name)
		if a.access != "read" && a.access != "write" {
			t.Errorf("%s: access %q", a.name, a.access)
		}
	}
	slices.Sort(names)
	if len(all) != 93 || len(slices.Compact(names)) != 93 || params != 631 {
		t.Errorf("%d actions with %d parameters and %d fields", len(all), params, leaves)
	}
}
