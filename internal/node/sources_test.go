package node

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

func TestSourcesOfANode(t *testing.T) {
	start := func(cfg Config) (*Node, error) {
		cfg.Data, cfg.Listen = t.TempDir(), "127.0.0.1:0"
		return Start(t.Context(), cfg)
	}
	for _, row := range []struct {
		cfg  Config
		text string
	}{
		{Config{ProbeSources: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}, "probe source 192.0.2.1 cannot be used"},
		{Config{ProbeSources: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"), netip.MustParseAddr("127.0.0.2")}}, "it is of one family with 127.0.0.1"},
		{Config{SourceMode: "clear"}, "--source-mode clear: want"},
	} {
		if _, err := start(row.cfg); err == nil || !strings.Contains(err.Error(), row.text) {
			t.Errorf("%+v: %v", row.cfg, err)
		}
	}
	n, err := start(Config{ProbeSources: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Stop(t.Context())
	if f := n.Engine().SourceFacts(); f.InForce != spec.SourceProxy || f.Reason != "the default" {
		t.Errorf("a node that was told nothing: %+v", f)
	}
}
