package main

import (
	"fmt"
	"io"
	"net/url"

	"github.com/openslb/openslb/internal/node"
)

// printWelcome tells a person how to use a node that has started.
func printWelcome(w io.Writer, n *node.Node) {
	fmt.Fprintf(w, "OpenSLB %s\n\n", version())
	fmt.Fprintf(w, "  API          %s (https on the same port)\n", n.Endpoint())
	fmt.Fprintf(w, "  data         %s\n", n.Data())
	fmt.Fprintf(w, "  CA           %s\n", n.CAFile())
	fmt.Fprintf(w, "  connections  room for about %d at once (limit of open files)\n", n.ConnectionBudget())
	key := n.Credentials()
	switch {
	case n.NewKey():
		fmt.Fprintf(w, "\nAccess key made now; the secret is shown this once and kept in %s:\n\n", node.CredentialsFile(n.Data()))
		fmt.Fprintf(w, "  AccessKeyId      %s\n  AccessKeySecret  %s\n", key.KeyID, key.Secret)
	case key.KeyID == node.DevKeyID:
		fmt.Fprintf(w, "\nDevelopment mode: everybody who reaches the port may use %s / %s.\n", node.DevKeyID, node.DevKeySecret)
	case key.KeyID != "":
		fmt.Fprintf(w, "\nAccess key %s, secret in %s.\n", key.KeyID, node.CredentialsFile(n.Data()))
	}
	printClients(w, n, "<AccessKeySecret>")
}

// printClients prints settings to paste for each kind of client. secret stands
// where the secret belongs: itself, or a word for it.
func printClients(w io.Writer, n *node.Node, secret string) {
	key := n.Credentials()
	if key.KeyID == "" {
		key.KeyID = "<AccessKeyId>"
	}
	if key.KeyID == node.DevKeyID {
		secret = node.DevKeySecret
	}
	hostPort := n.Endpoint()
	if u, err := url.Parse(n.Endpoint()); err == nil {
		hostPort = u.Host
	}
	fmt.Fprintf(w, `
openslb
  export OPENSLB_DATA=%[1]s
  openslb call DescribeLoadBalancers

aliyun CLI
  aliyun configure set --profile openslb --mode AK --region %[2]s --endpoint %[3]s \
    --access-key-id %[4]s --access-key-secret %[5]s
  aliyun slb DescribeLoadBalancers --profile openslb --insecure

Terraform, with SSL_CERT_FILE=%[6]s in the environment
  provider "alicloud" {
    access_key             = "%[4]s"
    secret_key             = "%[5]s"
    region                 = "%[2]s"
    protocol               = "HTTP"
    skip_region_validation = true
    account_type           = "Domestic"
    endpoints {
      slb = "%[3]s"
      vpc = "%[3]s"
    }
  }

Go SDK
  cfg := sdk.NewConfig().WithScheme("HTTP")
  client, err := slb.NewClientWithOptions("%[2]s", cfg, credentials.NewAccessKeyCredential("%[4]s", "%[5]s"))
  client.Domain = "%[3]s"

`, shellQuote(n.Data()), key.Region, hostPort, key.KeyID, secret, n.CAFile())
}
