package node

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/openslb/openslb/internal/slb"
)

func TestReadServersFile(t *testing.T) {
	tests := []struct {
		name, text string
		want       []*slb.Server
		err        string // part of the error
	}{
		{"empty", "", nil, ""},
		{"full", `
servers:
  - id: i-a
    addresses: [10.0.0.1, "fd00::1"]
    status: stopped
    name: web
    zone: z-a
    vpc: vpc-1
    tags: {team: web, env: prod}
  - {id: eni-b, addresses: [10.0.0.2]}
`, []*slb.Server{
			{
				ID: "i-a", Name: "web", Status: slb.ServerStopped, ZoneID: "z-a", VpcID: "vpc-1",
				Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")},
				Tags:      []slb.Tag{{Key: "env", Value: "prod"}, {Key: "team", Value: "web"}},
			},
			{ID: "eni-b", Status: slb.ServerRunning, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.2")}},
		}, ""},
		{"unknown key", "servers:\n  - id: i-a\n    adresses: [10.0.0.1]\n", nil, "line 3: field adresses"},
		{"no id", "servers: [{addresses: [10.0.0.1]}]", nil, "id is missing"},
		{"bad id", "servers: [{id: i/a, addresses: [10.0.0.1]}]", nil, "id may have"},
		{"no address", "servers: [{id: i-a}]", nil, `"i-a"): addresses are missing`},
		{"bad address", "servers: [{id: i-a, addresses: [10.0.0]}]", nil, "10.0.0"},
		{"address of no host", "servers: [{id: i-a, addresses: [0.0.0.0]}]", nil, "0.0.0.0"},
		{"address twice", "servers: [{id: i-a, addresses: [10.0.0.1, \"::ffff:10.0.0.1\"]}]", nil, "twice"},
		{"bad status", "servers: [{id: i-a, addresses: [10.0.0.1], status: Up}]", nil, "status"},
		{"twice", "servers: [{id: i-a, addresses: [10.0.0.1]}, {id: i-a, addresses: [10.0.0.2]}]", nil, "twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "servers.yaml")
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := readServersFile(file)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v; want it to contain %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("servers (-want +got):\n%s", diff)
			}
		})
	}
}
