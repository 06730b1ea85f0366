package conformance

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A script is a text file of calls and of what their answers must hold:
//
//	# a comment
//	POST form AddBackendServers          method and place of the parameters, or "call"
//	    LoadBalancerId=$LB
//	  => 200                             HTTP status, then for errors code and part of the text
//	    LoadBalancerId "$LB"             path and value, as JSON
//	    BackendServers.BackendServer #2  a list of two; [] is #0
//	    X -> NAME                        keeps a text for later as $NAME
//	    Y number                         also: string, bool, list, object, absent
//
// Every value is compared with its type, as strict clients do.

// step is one call of a script.
type step struct {
	where           string // file:line
	method, place   string // empty: as the caller likes
	action, version string
	params          map[string]string
	status          int
	code, text      string
	checks          []check
}

type check struct{ path, want string }

var product = map[string]string{ // versions of actions that are not of the load balancer
	"RegisterServer": openslbVersion, "SetServerStatus": openslbVersion, "DeregisterServer": openslbVersion,
	"DescribeVSwitchAttributes": "2016-04-28", "DescribeEndpoints": "2015-06-12", "GetCallerIdentity": "2015-04-01",
}

// readScript parses a file.
func readScript(t testing.TB, name string) []*step {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var out []*step
	asserts, n := false, 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		n++
		line := lines.Text()
		text := strings.TrimSpace(line)
		where := fmt.Sprintf("%s:%d", name, n)
		switch {
		case text == "" || strings.HasPrefix(text, "#"):
		case line[0] != ' ':
			words := strings.Fields(text)
			s := &step{where: where, version: slbVersion, params: map[string]string{}}
			if len(words) == 3 {
				s.method, s.place = words[0], words[1]
			} else if len(words) != 2 || words[0] != "call" {
				t.Fatalf("%s: %q", where, text)
			}
			s.action = words[len(words)-1]
			if v := product[s.action]; v != "" {
				s.version = v
			}
			out, asserts = append(out, s), false
		case strings.HasPrefix(text, "=>"):
			asserts = true
			s := out[len(out)-1]
			words := strings.Fields(text)
			if s.status, err = strconv.Atoi(words[1]); err != nil {
				t.Fatalf("%s: %v", where, err)
			}
			if len(words) > 2 {
				s.code, s.text = words[2], strings.Join(words[3:], " ")
			}
		case asserts:
			path, want, ok := strings.Cut(text, " ")
			if !ok {
				t.Fatalf("%s: %q says nothing about it", where, text)
			}
			out[len(out)-1].checks = append(out[len(out)-1].checks, check{path, strings.TrimSpace(want)})
		default:
			name, value, ok := strings.Cut(text, "=")
			if !ok {
				t.Fatalf("%s: parameter %q", where, text)
			}
			out[len(out)-1].params[name] = value
		}
	}
	for _, s := range out {
		if s.status == 0 {
			t.Fatalf("%s: no => line", s.where)
		}
	}
	return out
}

// reply is what a client got.
type reply struct {
	status     int
	code, text string         // of an error
	body       map[string]any // of success, without RequestId
}

// caller makes one call with some client. method and place may be empty.
type caller func(t testing.TB, s *step, params map[string]string) reply

var variable = regexp.MustCompile(`\$[A-Z][A-Z0-9]*`)

// runScript makes the calls of a file and checks the answers.
func runScript(t *testing.T, name string, call caller, given map[string]string) {
	t.Helper()
	vars := maps.Clone(given)
	for _, s := range readScript(t, name) {
		expand := func(text string) string {
			return variable.ReplaceAllStringFunc(text, func(v string) string {
				value, ok := vars[v[1:]]
				if !ok {
					t.Fatalf("%s: nothing is known of %s", s.where, v)
				}
				return value
			})
		}
		params := map[string]string{}
		for k, v := range s.params {
			params[k] = expand(v)
		}
		r := call(t, s, params)
		if r.status != s.status || r.code != s.code || !strings.Contains(r.text, s.text) {
			t.Fatalf("%s: %s answers %d %s %q, want %d %s %q", s.where, s.action, r.status, r.code, r.text, s.status, s.code, s.text)
		}
		for _, c := range s.checks {
			got, there := at(r.body, c.path)
			if into, ok := strings.CutPrefix(c.want, "-> "); ok {
				text, isText := got.(string)
				if !isText || text == "" {
					t.Fatalf("%s: %s has no text at %s: %v", s.where, s.action, c.path, r.body)
				}
				vars[into] = text
				continue
			}
			if problem := compare(got, there, expand(c.want)); problem != "" {
				t.Errorf("%s: %s: %s %s", s.where, s.action, c.path, problem)
			}
		}
	}
}

// at follows a path with dots; numbers are places in lists.
func at(v any, path string) (any, bool) {
	for part := range strings.SplitSeq(path, ".") {
		switch holder := v.(type) {
		case map[string]any:
			var ok bool
			if v, ok = holder[part]; !ok {
				return nil, false
			}
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i >= len(holder) {
				return nil, false
			}
			v = holder[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// compare returns what is wrong, or "".
func compare(got any, there bool, want string) string {
	kind := "absent"
	if there {
		kind = map[string]string{"string": "string", "float64": "number", "bool": "bool", "[]interface {}": "list", "map[string]interface {}": "object"}[fmt.Sprintf("%T", got)]
	}
	if slices.Contains([]string{"absent", "string", "number", "bool", "list", "object"}, want) {
		if kind != want {
			return fmt.Sprintf("is %v (%s), want %s", got, kind, want)
		}
		return ""
	}
	if want == "[]" {
		want = "#0"
	}
	if size, ok := strings.CutPrefix(want, "#"); ok {
		list, isList := got.([]any)
		if !isList || strconv.Itoa(len(list)) != size {
			return fmt.Sprintf("is %v (%s), want a list of %s", got, kind, size)
		}
		return ""
	}
	var value any
	if err := json.Unmarshal([]byte(want), &value); err != nil {
		return fmt.Sprintf("is to be %s, which is no JSON: %v", want, err)
	}
	if got != value {
		return fmt.Sprintf("is %v (%s), want %s", got, kind, want)
	}
	return ""
}

// TestScriptLanguage: the checks can fail.
func TestScriptLanguage(t *testing.T) {
	body := map[string]any{"N": 5.0, "S": "5", "L": []any{map[string]any{"X": true}}, "O": map[string]any{}}
	for _, tc := range []struct {
		path, want string
		ok         bool
	}{
		{"N", "5", true}, {"N", `"5"`, false}, {"S", "5", false}, {"S", `"5"`, true}, {"N", "number", true}, {"S", "number", false},
		{"L", "#1", true}, {"L", "[]", false}, {"L.0.X", "true", true}, {"L.1.X", "true", false}, {"L.0.Y", "absent", true},
		{"N", "absent", false}, {"O", "object", true}, {"O", "list", false}, {"S", "tru", false},
	} {
		got, there := at(body, tc.path)
		if problem := compare(got, there, tc.want); (problem == "") != tc.ok {
			t.Errorf("%s %s: %q", tc.path, tc.want, problem)
		}
	}
}
