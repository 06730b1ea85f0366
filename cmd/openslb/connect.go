package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strings"

	"golang.org/x/sys/unix"

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

// envEndpoint is also in the tag of connection.Endpoint.
const envEndpoint = "OPENSLB_ENDPOINT"

// target is where and as whom to call.
type target struct {
	node.Credentials
	keySource, endpointSource string // for messages
}

// resolve settles every field of the target. What is missing or malformed is a
// mistake.
func (c *connection) resolve() (target, error) {
	dir := c.Data
	if dir == "" {
		dir = node.DefaultData()
	}
	file := node.CredentialsFile(dir)
	stored, err := node.ReadCredentials(dir)
	switch {
	case err == nil:
	case !errors.Is(err, fs.ErrNotExist):
		return target{}, mistakef("credentials: %w; mend the file, or name another directory by --data", err)
	case c.Data != "" && c.KeyID == "":
		// Nothing is amiss if the caller gave all that the file would have said.
		return target{}, mistakef("credentials: %w; name the data directory of a node by --data, or give --endpoint, --key-id and --key-secret", err)
	}
	t := target{Credentials: stored, keySource: file, endpointSource: file + ", where the node wrote it when it started"}
	switch {
	case c.KeyID != "":
		if c.KeySecret == "" {
			return t, mistakef("--key-id is given without --key-secret")
		}
		t.KeyID, t.Secret, t.keySource = c.KeyID, c.KeySecret, "the command line"
	case c.Data == "" && os.Getenv(envKeyID) != "":
		t.KeyID, t.Secret, t.keySource = os.Getenv(envKeyID), os.Getenv(envKeySecret), "the environment variable "+envKeyID
	}
	if t.KeyID == "" {
		where := "there is no " + file
		if err == nil {
			where = file + " has none"
		}
		return t, mistakef("no access key: none given, %s is not set, and %s; is the node on this machine, and is --data its directory?", envKeyID, where)
	}
	switch {
	case c.Endpoint != "" && c.Endpoint == os.Getenv(envEndpoint):
		t.Endpoint, t.endpointSource = c.Endpoint, "the environment variable "+envEndpoint
	case c.Endpoint != "":
		t.Endpoint, t.endpointSource = c.Endpoint, "--endpoint"
	case t.Endpoint == "":
		t.Endpoint, t.endpointSource = node.DefaultListen, "the defaults, since there is no "+file
	}
	if !strings.Contains(t.Endpoint, "://") {
		t.Endpoint = "http://" + t.Endpoint
	}
	if u, err := url.Parse(t.Endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return t, mistakef("endpoint %q: want http://host:port or https://host:port; it is from %s", t.Endpoint, t.endpointSource)
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

// explain adds to an error what the caller can do about it.
func (t target) explain(err error) error {
	if err == nil {
		return nil
	}
	if api, ok := errors.AsType[*client.Error](err); ok {
		if strings.HasPrefix(api.Code, "InvalidAccessKeyId") {
			return fmt.Errorf("%w (the key %s came from %s)", err, t.KeyID, t.keySource)
		}
		return err
	}
	advice := ""
	_, dial := errors.AsType[*net.OpError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, name := errors.AsType[x509.HostnameError](err)
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, unix.ECONNREFUSED):
		advice = "nothing listens there: is the node running (openslb serve)?"
	case authority:
		advice = "the certificate is of an authority that is not known here: name the node's data directory by --data, or its tls/ca.pem by SSL_CERT_FILE"
	case name:
		advice = "the node's certificate has not that name: start it with --server-name"
	case dial, errors.Is(err, context.DeadlineExceeded):
		advice = "is the node running, and is that its address?"
	default:
		advice = "is that a node's API?"
	}
	return fmt.Errorf("%w\n%s The endpoint is from %s", err, advice, t.endpointSource)
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
