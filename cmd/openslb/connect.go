package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/openslb/openslb/internal/client"
	"github.com/openslb/openslb/internal/node"
)

// connection is how a command reaches the API and who it is there.
//
// The key comes from the first of: the flags, the credentials of a data
// directory that was named, the environment, the credentials of the default
// data directory. A named directory stands above the environment because that
// often holds a key of the cloud, which means nothing here.
type connection struct {
	Data      string `help:"Data directory of the node, whose credentials file gives endpoint and key (default ${data})." env:"OPENSLB_DATA" placeholder:"DIR"`
	Endpoint  string `help:"Endpoint of the API." env:"OPENSLB_ENDPOINT" placeholder:"URL"`
	KeyID     string `help:"Access key ID (environment: ALIBABA_CLOUD_ACCESS_KEY_ID)." name:"key-id" placeholder:"ID"`
	KeySecret string `help:"Access key secret (environment: ALIBABA_CLOUD_ACCESS_KEY_SECRET)." name:"key-secret" placeholder:"SECRET"`
	Region    string `help:"RegionId to send; the node's own when not given." env:"OPENSLB_REGION" placeholder:"REGION"`
}

// The environment variables that the vendor's tools read.
const (
	envKeyID     = "ALIBABA_CLOUD_ACCESS_KEY_ID"
	envKeySecret = "ALIBABA_CLOUD_ACCESS_KEY_SECRET"
)

// target is where and as whom to call.
type target struct {
	node.Credentials
	keySource string // for messages
}

// resolve settles every field of the target.
func (c *connection) resolve() (target, error) {
	dir := c.Data
	if dir == "" {
		dir = node.DefaultData()
	}
	stored, err := node.ReadCredentials(dir)
	if err != nil {
		// Nothing is amiss if the caller gave all that the file would have said.
		if !errors.Is(err, fs.ErrNotExist) || c.Data != "" && c.KeyID == "" {
			return target{}, fmt.Errorf("credentials: %w", err)
		}
	}
	t := target{Credentials: stored, keySource: node.CredentialsFile(dir)}
	switch {
	case c.KeyID != "":
		t.KeyID, t.Secret, t.keySource = c.KeyID, c.KeySecret, "the command line"
	case c.Data == "" && os.Getenv(envKeyID) != "":
		t.KeyID, t.Secret, t.keySource = os.Getenv(envKeyID), os.Getenv(envKeySecret), "the environment variable "+envKeyID
	}
	if t.KeyID == "" {
		return t, fmt.Errorf("no access key: none given, %s is not set, and there is no %s; is the node on this machine, and is --data its directory?",
			envKeyID, node.CredentialsFile(dir))
	}
	if c.Endpoint != "" {
		t.Endpoint = c.Endpoint
	}
	if t.Endpoint == "" {
		t.Endpoint = node.DefaultListen
	}
	if !strings.Contains(t.Endpoint, "://") {
		t.Endpoint = "http://" + t.Endpoint
	}
	if c.Region != "" {
		t.Region = c.Region
	}
	if t.Region == "" {
		t.Region = node.DefaultRegion
	}
	return t, nil
}

// client returns a client for the action, whose name decides the version.
func (t target) client(action string) (*client.Client, error) {
	ca := ""
	if strings.HasPrefix(t.Endpoint, "https://") {
		ca = t.CAFile
	}
	hc, err := client.HTTPClient(ca)
	if err != nil {
		return nil, err
	}
	return &client.Client{
		Endpoint: t.Endpoint, KeyID: t.KeyID, Secret: t.Secret, Region: t.Region,
		Version: versionOf(action), HTTP: hc,
	}, nil
}

// explain adds to an API error what the caller can do about it.
func (t target) explain(err error) error {
	var api *client.Error
	if errors.As(err, &api) && strings.HasPrefix(api.Code, "InvalidAccessKeyId") {
		return fmt.Errorf("%w (the key %s came from %s)", err, t.KeyID, t.keySource)
	}
	return err
}

// do sends an action and decodes its answer into out, which may be nil.
func (c *connection) do(ctx context.Context, action string, params map[string]string, out any) error {
	t, err := c.resolve()
	if err != nil {
		return err
	}
	api, err := t.client(action)
	if err != nil {
		return err
	}
	return t.explain(api.Do(ctx, action, params, out))
}
