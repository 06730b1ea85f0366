package api

import (
	"reflect"
	"strings"
	"testing"
)

// TestQuotaTable: every field of Quotas has a row and a default.
func TestQuotaTable(t *testing.T) {
	seen, names := map[*int]bool{}, map[string]bool{}
	var q Quotas
	for _, row := range quotas {
		f := row.field(&q)
		if seen[f] || row.name != "" && names[row.name] || row.fallback == 0 {
			t.Errorf("row %q stands twice or has no default", row.name)
		}
		seen[f], names[row.name] = true, true
		if row.name != "" && !strings.Contains(DescribeQuotas(), row.name) {
			t.Errorf("%s is not described", row.name)
		}
	}
	if got := reflect.TypeFor[Quotas]().NumField(); got != len(seen) {
		t.Errorf("%d fields, %d rows", got, len(seen))
	}
}

func TestQuotasByName(t *testing.T) {
	q, err := QuotasByName(map[string]int{"slbs-per-user": 500, "Entries-Per-ACL": Unlimited, "listeners-per-slb": 0})
	if err != nil {
		t.Fatal(err)
	}
	want := Quotas{}.withDefaults()
	want.LoadBalancers, want.ACLEntries = 500, Unlimited
	if q != want || want.Listeners != 50 {
		t.Errorf("%+v", q)
	}
	for _, bad := range []map[string]int{{"": 1}, {"slbs": 1}, {"slbs-per-user": -2}} {
		if _, err := QuotasByName(bad); err == nil {
			t.Errorf("%v is accepted", bad)
		}
	}
}
