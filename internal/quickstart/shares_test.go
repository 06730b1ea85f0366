package quickstart

import (
	"errors"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	two := []share{{id: "a", weight: 90}, {id: "b", weight: 10}}
	tests := []struct {
		name   string
		shares []share
		tally  tally
		want   []string // a part of each fault, in order
	}{
		{"exact", two, tally{total: 400, count: map[string]int{"a": 360, "b": 40}}, nil},
		{"within tolerance", two, tally{total: 100, count: map[string]int{"a": 88, "b": 12}}, nil},
		{"beyond tolerance", two, tally{total: 100, count: map[string]int{"a": 80, "b": 20}},
			[]string{"a got 80.0% and its weight promises 90.0%", "b got 20.0%"}},
		{"nothing at all", two, tally{}, []string{"a got 0.0%", "b got 0.0%"}},
		{"failures", two, tally{total: 400, failed: 1, firstFailure: errors.New("reset"), count: map[string]int{"a": 360, "b": 39}},
			[]string{"1 of 400 requests failed, one with: reset"}},
		{"down server asked", []share{{id: "a", weight: 90, down: true}, {id: "b", weight: 10}},
			tally{total: 400, count: map[string]int{"a": 1, "b": 399}}, []string{"a got 1 requests and should have none"}},
		{"stranger", two, tally{total: 400, count: map[string]int{"a": 356, "b": 40, "c": 4}},
			[]string{"4 requests went to servers that are not in the group"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := check(tt.shares, column{title: "HTTP", tally: tt.tally})
			if len(got) != len(tt.want) {
				t.Fatalf("faults %q, want %d", got, len(tt.want))
			}
			for i, part := range tt.want {
				if !strings.Contains(got[i].Error(), part) {
					t.Errorf("fault %q does not say %q", got[i], part)
				}
			}
		})
	}
}

func TestTable(t *testing.T) {
	got := table(
		[]share{{id: "i-a", weight: 90, down: true}, {id: "i-b", weight: 10}},
		[]column{{"HTTP", tally{total: 4, count: map[string]int{"i-b": 4}}}},
	)
	want := `
  server                   weight promised                HTTP
  i-a                          90     0.0%          0 (  0.0%)
  i-b                          10   100.0%          4 (100.0%)`
	if got != want[1:] {
		t.Errorf("table is\n%s\nwant%s", got, want)
	}
}
