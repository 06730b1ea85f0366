package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"
)

// nodeCmd shows what a node knows of itself.
type nodeCmd struct {
	connection `embed:""`
	JSON       bool `name:"json" help:"Print the answer as JSON."`
}

// nodeFacts is the answer of DescribeNode.
type nodeFacts struct {
	Version, RegionID, StartTime      string
	Uptime                            int64
	Revision                          int64
	EventLoops                        int
	ConnectionBudget                  uint64
	DescriptorsInUse, DescriptorLimit int
	DescriptorShortages               uint64
	SourceAddress, AccessLog, Tracing struct{ Mode, Reason string }
}

func (c *nodeCmd) Run(ctx context.Context, s streams) error {
	var text json.RawMessage
	if err := c.do(ctx, "DescribeNode", nil, &text); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(s.out, text)
	}
	var f nodeFacts
	if err := json.Unmarshal(text, &f); err != nil {
		return fmt.Errorf("read the facts: %w", err)
	}
	t := tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0)
	for _, row := range [][2]string{
		{"version", f.Version},
		{"region", f.RegionID},
		{"serves since", f.StartTime + " (" + (time.Duration(f.Uptime) * time.Second).String() + ")"},
		{"revision", strconv.FormatInt(f.Revision, 10)},
		{"event loops", strconv.Itoa(f.EventLoops)},
		{"connection budget", strconv.FormatUint(f.ConnectionBudget, 10)},
		{"descriptors", fmt.Sprintf("%d in use of %d, %d refused", f.DescriptorsInUse, f.DescriptorLimit, f.DescriptorShortages)},
		{"source address", f.SourceAddress.Mode + ": " + f.SourceAddress.Reason},
		{"access log", f.AccessLog.Mode + ": " + f.AccessLog.Reason},
		{"tracing", f.Tracing.Mode + ": " + f.Tracing.Reason},
	} {
		fmt.Fprintf(t, "%s\t%s\n", row[0], row[1])
	}
	return t.Flush()
}
