package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/openslb/openslb/internal/rpc"
)

// wrongValue is a value that no parameter of its kind may have. refused is false
// for what some parameter may well take: then no more is demanded than that the
// call is answered, and that a refused one changes nothing.
type wrongValue struct {
	name, value string
	refused     bool
}

var huge = strings.Repeat("x", 5_000)

// wrongValuesOf are the values to try on a parameter.
func wrongValuesOf(p *rpc.ParamInfo) []wrongValue {
	out := []wrongValue{
		{"huge", huge, p.MaxLen > 0 && p.MaxLen < len(huge)},
		{"unicode", "日本\u202e\U0001F600ß", false},
		{"control characters", "a\x00b\r\nX: y", true},
		{"no UTF-8", "a\xff\xfeb", false},
		{"unknown", "zz-no-such-thing-0", false},
	}
	if p.MaxLen > 0 {
		out = append(out, wrongValue{"too long", strings.Repeat("x", p.MaxLen+1), true})
	}
	switch {
	case strings.HasPrefix(p.Type, "JSON"):
		for _, text := range []string{"{", `[{"`, strings.Repeat("[", 500), "nonsense", "[{}{}]"} {
			out = append(out, wrongValue{"JSON " + text[:1], text, true})
		}
	case p.Type == "integer":
		for _, text := range []string{"x", "1.5", "99999999999999999999999", "1e3", "１", "0x10", " 1", "1 ", "+1", "--1", "1\n"} {
			out = append(out, wrongValue{text, text, true})
		}
		out = append(out, wrongValue{"out of range", "-99999999", p.Range != ""})
	case p.Type == "boolean":
		out = append(out, wrongValue{"maybe", "maybe", true}, wrongValue{"2", "2", true})
	}
	if len(p.Enum) > 0 {
		out = append(out, wrongValue{"not in the list", "perhaps", true})
	}
	return out
}

// withoutReason are the documented texts of InvalidParameter that are about more
// than one value, and so say all there is.
var withoutReason = []string{
	"does not exist", "is exist", "is empty", "emtpy", "not in subnet", "format is error", "network type", "used by another ACL",
}

// tellsWhy reports whether a message names the parameter, what was given or what
// is allowed, in bounded length.
func tellsWhy(message, name string) bool {
	if len(message) > 2_000 {
		return false
	}
	for _, text := range withoutReason {
		if strings.Contains(message, text) {
			return true
		}
	}
	_, reason, _ := strings.Cut(message, ". ")
	return strings.Contains(message, strings.Split(name, ".")[0]) && reason != ""
}

// spoiled is JSON text with another value in a field of its first object.
func spoiled(text, field, value string) (string, bool) {
	var list []map[string]any
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) == 0 {
		return "", false
	}
	maps.DeleteFunc(list[0], func(n string, _ any) bool { return strings.EqualFold(n, field) })
	list[0][field] = value
	b, err := json.Marshal(list)
	return string(b), err == nil
}

// codes are the documented error codes with their statuses.
var codes = sync.OnceValue(func() map[string][]string {
	b, err := os.ReadFile(filepath.Join("testdata", "codes.txt"))
	if err != nil {
		panic(err)
	}
	out := map[string][]string{}
	for line := range strings.Lines(string(b)) {
		if words := strings.Fields(line); len(words) > 0 && words[0] != "#" {
			out[words[0]] = words[1:]
		}
	}
	return out
})

// ours are codes of this server, which docs/divergences.md gives reasons for.
var ours = map[string]int{"InvalidResourceId.NotFound": 404, "OperationFailed.ListenerBind": 400}

// documented reports whether the reference has a code with this status. Other
// products have only what Slb has of theirs, and are not judged.
func documented(product string, status int, code string) bool {
	statuses, ok := codes()[code]
	return product != "Slb" || ours[code] == status || ok && (len(statuses) == 0 || slices.Contains(statuses, fmt.Sprint(status)))
}

// TestWrongValuesOfEveryParameter takes a call of each action and spoils one
// parameter after the other. Whatever stands there, the answer is no fault of the
// server's, what is refused changes nothing, and no secret gets into the log.
func TestWrongValuesOfEveryParameter(t *testing.T) {
	infos := map[string]rpc.ActionInfo{}
	for _, a := range rpc.NewMux(newWorld(t).server.Products()...).Actions() {
		infos[a.Name] = a
	}
	calls, met := map[string]int{}, map[string]bool{}
	for _, g := range goldens {
		t.Run(g.action, func(t *testing.T) {
			var log bytes.Buffer
			logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			w := newWorld(t, func(c *Config) { c.Logger = logger })
			w.handler = rpc.NewHandler(rpc.Options{Mux: rpc.NewMux(w.server.Products()...), Keys: oneKey{}, HostID: "slb.example.net", Logger: logger})
			lb := ""
			if g.setup != nil {
				lb = g.setup(w)
			}
			call := map[string]string{}
			for i := 0; i < len(g.calls[0]); i += 2 {
				call[g.calls[0][i]] = w.fill(g.calls[0][i+1], lb)
			}
			// try makes the call with more parameters, and without its own of these names.
			try := func(what string, refused bool, more ...string) {
				calls[g.action]++
				name := more[0]
				p := params(more)
				for n, v := range call {
					if n != name {
						p = append(p, n, v)
					}
				}
				before := w.store.State().Revision
				status, a := w.try(g.action, p...)
				switch {
				case status >= 500 && a["Code"] != "ServiceUnavailable" || status < 200 || status >= 400 && (a["Code"] == "" || a["Message"] == ""):
					t.Errorf("%s %s: HTTP %d %v", name, what, status, a)
				case status >= 400 && !documented(infos[g.action].Product, status, a.text(t, "Code")):
					t.Errorf("%s %s: HTTP %d with code %v is not documented", name, what, status, a["Code"])
				case a["Code"] == "InvalidParameter" && !tellsWhy(a.text(t, "Message"), name):
					t.Errorf("%s %s: %q does not tell what is wrong with it", name, what, a["Message"])
				case refused && (status < 400 || status >= 500):
					t.Errorf("%s %s passes: HTTP %d", name, what, status)
				case status >= 400 && w.store.State().Revision != before:
					t.Errorf("%s %s: refused, and yet something changed", name, what)
				}
			}
			for _, p := range infos[g.action].Params {
				name := p.Name
				if strings.HasPrefix(p.Type, "repeated") {
					name += ".1"
					if len(p.Fields) > 0 {
						name += "." + p.Fields[0].Name
					}
				}
				for _, v := range wrongValuesOf(&p) {
					try(v.name, v.refused, name, v.value)
				}
				if kind := fmt.Sprint(p.Type, p.MaxLen > 0, p.Pattern != "", p.Enum != nil); !met[kind] {
					met[kind] = true // costs too much to do everywhere
					try("a megabyte", p.MaxLen > 0 || p.Enum != nil, name, strings.Repeat("x", 1_000_000))
				}
				try("twice", true, name, "a", "&"+name, "b")
				if head, tail, repeated := strings.Cut(name, ".1"); repeated {
					for _, n := range []string{".0", ".-1", ".01", ".+1", ".99999999999999999999"} {
						try("number "+n, true, head+n+tail, "x")
					}
					try("far away", false, head+".999999"+tail, "x")
				}
				for _, f := range p.Fields {
					for _, v := range wrongValuesOf(&f) {
						if text, ok := spoiled(call[p.Name], f.Name, v.value); ok {
							try(f.Name+" "+v.name, v.refused, p.Name, text)
						}
					}
				}
				if !p.Required {
					continue
				}
				kept := maps.Clone(call)
				maps.DeleteFunc(call, func(n, _ string) bool { return n == p.Name || strings.HasPrefix(n, p.Name+".") })
				try("missing", true, "Nothing", "")
				try("empty", true, name, "")
				if lower := strings.ToLower(name); !slices.Contains(p.Aliases, lower) {
					try("in another case", true, lower, kept[name])
				}
				call = kept
			}
			for _, secret := range []string{"testsecret", "PRIVATE KEY", huge} {
				if strings.Contains(log.String(), secret) {
					t.Errorf("%.20s is in the log", secret)
				}
			}
		})
	}
	total := 0
	for _, a := range published(t) {
		if n := calls[a.name]; n == 0 && len(infos[a.name].Params) > 0 {
			t.Errorf("%s was never called", a.name)
		}
		total += calls[a.name]
	}
	t.Logf("%d wrong calls of %d actions", total, len(calls))
}
