package main

import (
	"context"
	"fmt"
)

// keyCmd manages access keys through the API.
type keyCmd struct {
	Create  keyCreateCmd  `cmd:"" help:"Make a key pair; its secret is shown this once."`
	List    keyListCmd    `cmd:"" help:"List the keys, without their secrets."`
	Enable  keyEnableCmd  `cmd:"" help:"Let a disabled key call again."`
	Disable keyDisableCmd `cmd:"" help:"Refuse the calls of a key."`
	Delete  keyDeleteCmd  `cmd:"" help:"Delete a key."`
}

type keyCreateCmd struct {
	connection  `embed:""`
	Description string `help:"What the key is for." placeholder:"TEXT"`
	JSON        bool   `name:"json" help:"Print the pair as JSON."`
}

// accessKey is a key in the answers.
type accessKey struct {
	AccessKeyID     string `json:"AccessKeyId"`
	AccessKeySecret string `json:",omitempty"`
	Status          string
	CreateTime      string
	Description     string
}

func (c *keyCreateCmd) Run(ctx context.Context, s streams) error {
	params := map[string]string{}
	if c.Description != "" {
		params["Description"] = c.Description
	}
	var a struct{ AccessKey accessKey }
	if err := c.do(ctx, "CreateAccessKey", params, &a); err != nil {
		return err
	}
	key := a.AccessKey
	if c.JSON {
		return writeJSON(s.out, key)
	}
	_, err := fmt.Fprintf(s.out, "AccessKeyId      %s\nAccessKeySecret  %s\n", key.AccessKeyID, key.AccessKeySecret)
	return err
}

type keyListCmd struct {
	connection `embed:""`
	JSON       bool `name:"json" help:"Print the keys as JSON."`
}

func (c *keyListCmd) Run(ctx context.Context, s streams) error {
	var a struct {
		AccessKeys struct{ AccessKey []accessKey }
	}
	if err := c.do(ctx, "ListAccessKeys", nil, &a); err != nil {
		return err
	}
	keys := a.AccessKeys.AccessKey
	if c.JSON {
		return writeJSON(s.out, keys)
	}
	rows := make([][]string, len(keys))
	for i, k := range keys {
		rows[i] = []string{k.AccessKeyID, k.Status, k.CreateTime, k.Description}
	}
	return writeTable(s.out, []string{"ID", "STATUS", "CREATED", "DESCRIPTION"}, rows)
}

type keyEnableCmd struct{ keyTarget }

func (c *keyEnableCmd) Run(ctx context.Context, s streams) error {
	return c.change(ctx, s, "UpdateAccessKey", "Active", "is enabled")
}

type keyDisableCmd struct{ keyTarget }

func (c *keyDisableCmd) Run(ctx context.Context, s streams) error {
	return c.change(ctx, s, "UpdateAccessKey", "Inactive", "is disabled")
}

type keyDeleteCmd struct{ keyTarget }

func (c *keyDeleteCmd) Run(ctx context.Context, s streams) error {
	return c.change(ctx, s, "DeleteAccessKey", "", "is deleted")
}

// keyTarget names the key that a command changes.
type keyTarget struct {
	connection `embed:""`
	ID         string `arg:"" help:"The AccessKeyId."`
}

// change calls an action on the key and reports what has become of it.
func (c *keyTarget) change(ctx context.Context, s streams, action, status, done string) error {
	params := map[string]string{"UserAccessKeyId": c.ID}
	if status != "" {
		params["Status"] = status
	}
	if err := c.do(ctx, action, params, nil); err != nil {
		return err
	}
	_, err := fmt.Fprintln(s.out, c.ID, done)
	return err
}
