package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// serverCmd manages the register of servers through the API.
type serverCmd struct {
	Add    serverAddCmd    `cmd:"" help:"Put a server into the register."`
	List   serverListCmd   `cmd:"" help:"List the register."`
	Set    serverSetCmd    `cmd:"" help:"Change a server, take it out of traffic or put it back."`
	Remove serverRemoveCmd `cmd:"" help:"Take a server out of the register."`
}

// serverSettings are what can be told about a server.
type serverSettings struct {
	IP   []string          `name:"ip" help:"Private address; the first is used unless an entry of a group names another." placeholder:"ADDR"`
	Name string            `help:"Name for people." placeholder:"NAME"`
	Zone string            `help:"Zone of the server." placeholder:"ZONE"`
	VPC  string            `name:"vpc" help:"Network of the server; without one it fits every balancer." placeholder:"ID"`
	Tag  map[string]string `help:"Tag of the server." placeholder:"KEY=VALUE"`
}

// params are the API's parameters for what was given.
func (c *serverSettings) params() map[string]string {
	params := make(map[string]string)
	for i, ip := range c.IP {
		params["Address."+strconv.Itoa(i+1)] = ip
	}
	for name, value := range map[string]string{"ServerName": c.Name, "ZoneId": c.Zone, "VpcId": c.VPC} {
		if value != "" {
			params[name] = value
		}
	}
	for i, key := range slices.Sorted(maps.Keys(c.Tag)) {
		prefix := "Tag." + strconv.Itoa(i+1)
		params[prefix+".Key"], params[prefix+".Value"] = key, c.Tag[key]
	}
	return params
}

type serverAddCmd struct {
	connection     `embed:""`
	serverSettings `embed:""`
	ID             string `arg:"" help:"Identifier of the server, as AddBackendServers will name it."`
	Status         string `enum:"Running,Stopped" default:"Running" help:"Running, or Stopped: known, but not used (${enum})."`
}

// Validate implements kong's check of a command.
func (c *serverAddCmd) Validate() error {
	if len(c.IP) == 0 {
		return errors.New("--ip is missing: where is the server?")
	}
	return nil
}

func (c *serverAddCmd) Run(ctx context.Context, s streams) error {
	params := c.params()
	params["ServerId"], params["Status"] = c.ID, c.Status
	if err := c.do(ctx, "RegisterServer", params, nil); err != nil {
		return err
	}
	_, err := fmt.Fprintf(s.out, "%s is registered at %s\n", c.ID, strings.Join(c.IP, ", "))
	return err
}

// registered is one entry of the register in the answer of DescribeServers.
type registered struct {
	ServerID   string `json:"ServerId"`
	ServerName string
	Addresses  struct {
		Address []string
	}
	Status string
	ZoneID string `json:"ZoneId"`
	VpcID  string `json:"VpcId"`
	Tags   struct {
		Tag []struct{ TagKey, TagValue string }
	}
}

type serverListCmd struct {
	connection `embed:""`
	JSON       bool `name:"json" help:"Print the entries as JSON."`
}

func (c *serverListCmd) Run(ctx context.Context, s streams) error {
	all, err := c.list(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(s.out, all)
	}
	rows := make([][]string, len(all))
	for i, text := range all {
		var r registered
		if err := json.Unmarshal(text, &r); err != nil {
			return fmt.Errorf("read the register: %w", err)
		}
		tags := make([]string, len(r.Tags.Tag))
		for j, t := range r.Tags.Tag {
			tags[j] = t.TagKey + "=" + t.TagValue
		}
		rows[i] = []string{r.ServerID, strings.Join(r.Addresses.Address, ","), r.Status, r.ServerName, r.ZoneID, r.VpcID, strings.Join(tags, ",")}
	}
	return writeTable(s.out, []string{"ID", "ADDRESSES", "STATUS", "NAME", "ZONE", "VPC", "TAGS"}, rows)
}

// list fetches every page of the register.
func (c *serverListCmd) list(ctx context.Context) ([]json.RawMessage, error) {
	const pageSize = 100
	all := []json.RawMessage{}
	for page := 1; ; page++ {
		var a struct {
			Servers struct{ Server []json.RawMessage }
		}
		params := map[string]string{"PageNumber": strconv.Itoa(page), "PageSize": strconv.Itoa(pageSize)}
		if err := c.do(ctx, "DescribeServers", params, &a); err != nil {
			return nil, err
		}
		all = append(all, a.Servers.Server...)
		if len(a.Servers.Server) < pageSize {
			return all, nil
		}
	}
}

type serverSetCmd struct {
	connection     `embed:""`
	serverSettings `embed:""`
	ID             string `arg:"" help:"Identifier of the server."`
	Status         string `enum:"Running,Stopped,unchanged" default:"unchanged" help:"Running, or Stopped: no balancer sends it traffic (${enum})."`
}

// unchanged stands for a status that the command is not to touch.
const unchanged = "unchanged"

// Validate implements kong's check of a command.
func (c *serverSetCmd) Validate() error {
	if c.Status == unchanged && len(c.params()) == 0 {
		return errors.New("nothing to set: give --status or another setting")
	}
	return nil
}

func (c *serverSetCmd) Run(ctx context.Context, s streams) error {
	if params := c.params(); len(params) > 0 {
		params["ServerId"] = c.ID
		if err := c.do(ctx, "ModifyServer", params, nil); err != nil {
			return err
		}
	}
	if c.Status != unchanged {
		params := map[string]string{"ServerId": c.ID, "Status": c.Status}
		if err := c.do(ctx, "SetServerStatus", params, nil); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(s.out, "%s is changed\n", c.ID)
	return err
}

type serverRemoveCmd struct {
	connection `embed:""`
	ID         string `arg:"" help:"Identifier of the server."`
	Force      bool   `help:"Also take it out of the groups that name it; without this, such a server is not removed."`
}

func (c *serverRemoveCmd) Run(ctx context.Context, s streams) error {
	params := map[string]string{"ServerId": c.ID}
	if c.Force {
		params["Force"] = "true"
	}
	if err := c.do(ctx, "DeregisterServer", params, nil); err != nil {
		return err
	}
	_, err := fmt.Fprintf(s.out, "%s is removed from the register\n", c.ID)
	return err
}
