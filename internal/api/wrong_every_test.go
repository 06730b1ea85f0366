package api

import (
	"bytes"
	"log/slog"
	"maps"
	"strings"
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
		for _, text := range []string{"x", "1.5", "99999999999999999999999", "1e3", "１", "0x10", " 1"} {
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
func tellsWhy(message, name, value string) bool {
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

// TestWrongValuesOfEveryParameter takes a call of each action and spoils one
// parameter after the other. Whatever stands there, the answer is no fault of the
// server's, what is refused changes nothing, and no secret gets into the log.
func TestWrongValuesOfEveryParameter(t *testing.T) {
	infos := map[string]rpc.ActionInfo{}
	for _, a := range rpc.NewMux(newWorld(t).server.Products()...).Actions() {
		infos[a.Name] = a
	}
	calls := map[string]int{}
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
			try := func(what, name, value string, refused bool) {
				calls[g.action]++
				var p params
				for n, v := range call {
					if n != name {
						p = append(p, n, v)
					}
				}
				before := w.store.State().Revision
				status, a := w.try(g.action, append(p, name, value)...)
				switch {
				case status >= 500 && a["Code"] != "ServiceUnavailable" || status < 200 || status >= 400 && (a["Code"] == "" || a["Message"] == ""):
					t.Errorf("%s %s: HTTP %d %v", name, what, status, a)
				case a["Code"] == "InvalidParameter" && !tellsWhy(a.text(t, "Message"), name, value):
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
					try(v.name, name, v.value, v.refused)
				}
				if !p.Required {
					continue
				}
				kept := maps.Clone(call)
				maps.DeleteFunc(call, func(n, _ string) bool { return n == p.Name || strings.HasPrefix(n, p.Name+".") })
				try("missing", "Nothing", "", true)
				try("empty", name, "", true)
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
