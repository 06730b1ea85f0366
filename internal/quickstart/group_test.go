package quickstart

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestGroupIs(t *testing.T) {
	want := []share{{id: "a", weight: 100}, {id: "b", weight: 100}}
	tests := []struct{ name, answer, fault string }{
		{"same", `{"BackendServers":{"BackendServer":[{"ServerId":"b","Weight":100},{"ServerId":"a","Weight":100}]}}`, ""},
		{"second entry won", `{"BackendServers":{"BackendServer":[{"ServerId":"b","Weight":100},{"ServerId":"a","Weight":10}]}}`, "should be"},
		{"listed twice", `{"BackendServers":{"BackendServer":[{"ServerId":"a","Weight":100},{"ServerId":"a","Weight":100}]}}`, "twice"},
		{"empty", `{"BackendServers":{"BackendServer":[]}}`, "should be"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var g group
			if err := json.Unmarshal([]byte(tt.answer), &g); err != nil {
				t.Fatal(err)
			}
			checkFault(t, g.is(want), tt.fault)
		})
	}
}

func TestHealthIs(t *testing.T) {
	row := func(id, port, status string) string {
		return `{"ServerId":"` + id + `","ListenerPort":` + port + `,"ServerHealthStatus":"` + status + `"}`
	}
	want := map[string]string{"a": "abnormal", "b": "normal"}
	good := []string{row("a", "80", "abnormal"), row("a", "81", "abnormal"), row("b", "80", "normal"), row("b", "81", "normal")}
	tests := []struct {
		name  string
		rows  []string
		fault string
	}{
		{"same", good, ""},
		{"one listener behind", append([]string{row("a", "80", "normal")}, good[1:]...), `a on 80 is "normal"`},
		{"row missing", good[:3], `b on 81 is ""`},
		{"row too many", append(good[:4:4], row("c", "80", "normal")), "5 rows and should be 4"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var h health
			text := `{"BackendServers":{"BackendServer":[` + strings.Join(tt.rows, ",") + `]}}`
			if err := json.Unmarshal([]byte(text), &h); err != nil {
				t.Fatal(err)
			}
			checkFault(t, h.is(want, 80, 81), tt.fault)
		})
	}
}

func checkFault(t *testing.T, got error, part string) {
	t.Helper()
	if part == "" {
		if got != nil {
			t.Errorf("unexpected fault: %v", got)
		}
		return
	}
	if got == nil || !strings.Contains(got.Error(), part) {
		t.Errorf("fault %v, want one with %q", got, part)
	}
}

func TestEntries(t *testing.T) {
	got := entries([]share{{id: "i-a", weight: 100}, {id: "i-b", weight: 0}})
	want := `[{"ServerId":"i-a","Weight":"100"},{"ServerId":"i-b","Weight":"0"}]`
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
