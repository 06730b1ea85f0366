package conformance

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth/credentials"
	sdkerrors "github.com/aliyun/alibaba-cloud-sdk-go/sdk/errors"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/slb"
	"github.com/google/go-cmp/cmp"

	"github.com/openslb/openslb/internal/node"
)

// newSDK returns the vendor's client, set up as its users do: endpoint and
// scheme, nothing else. For HTTPS the node's own CA is trusted.
func newSDK(t *testing.T, n *node.Node, scheme, id, secret string) *slb.Client {
	t.Helper()
	cfg := sdk.NewConfig().WithScheme(scheme).WithTimeout(20 * time.Second).WithAutoRetry(false)
	if scheme == "HTTPS" {
		pem, err := os.ReadFile(n.CAFile())
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			t.Fatalf("%s holds no certificate", n.CAFile())
		}
		cfg.WithHttpTransport(&http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}})
	}
	c, err := slb.NewClientWithOptions(region, cfg, credentials.NewAccessKeyCredential(id, secret))
	if err != nil {
		t.Fatalf("make an SDK client: %v", err)
	}
	c.Domain = hostPort(t, n)
	return c
}

// common sends any action through the SDK's CommonRequest and returns the body.
func common(c *slb.Client, product, version, action, format string, params map[string]string) (string, error) {
	r := requests.NewCommonRequest()
	r.Product, r.Version, r.ApiName, r.Domain, r.Scheme = product, version, action, c.Domain, c.GetConfig().Scheme
	r.AcceptFormat = format
	for k, v := range params {
		r.QueryParams[k] = v
	}
	resp, err := c.ProcessCommonRequest(r)
	if err != nil {
		return "", err
	}
	return resp.GetHttpContentString(), nil
}

// register puts servers into the register.
func register(t *testing.T, c *slb.Client, servers map[string]string) {
	t.Helper()
	for id, addr := range servers {
		if _, err := common(c, "OpenSLB", openslbVersion, "RegisterServer", "JSON", map[string]string{"ServerId": id, "Address.1": addr}); err != nil {
			t.Fatalf("RegisterServer %s: %v", id, err)
		}
	}
}

// createLoadBalancer makes an instance and returns its id and address.
func createLoadBalancer(t *testing.T, c *slb.Client, name string) *slb.CreateLoadBalancerResponse {
	t.Helper()
	r := slb.CreateCreateLoadBalancerRequest()
	r.LoadBalancerName, r.AddressType, r.LoadBalancerSpec = name, "internet", "slb.s1.small"
	resp, err := c.CreateLoadBalancer(r)
	if err != nil {
		t.Fatalf("CreateLoadBalancer: %v", err)
	}
	return resp
}

// wantError demands the SDK's server error with that code and, unless empty,
// that HTTP status and a message with that text. It returns what the SDK
// recommends to its user.
func wantError(t *testing.T, err error, status int, code, text string) (recommend string) {
	t.Helper()
	var e *sdkerrors.ServerError
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want the server's error %s", err, code)
	}
	if e.ErrorCode() != code || status != 0 && e.HttpStatus() != status || !strings.Contains(e.Message(), text) {
		t.Errorf("got %d %s %q, want %d %s with %q", e.HttpStatus(), e.ErrorCode(), e.Message(), status, code, text)
	}
	if e.RequestId() == "" {
		t.Error("the error carries no request id")
	}
	return e.Recommend()
}

// decoded is the body as a client with no types sees it, its request id checked
// and taken out.
func decoded(t testing.TB, body string) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(body), &out); err != nil {
		t.Fatalf("not JSON: %v in %s", err, body)
	}
	id, _ := out["RequestId"].(string)
	if len(id) != 36 || strings.ToUpper(id) != id {
		t.Errorf("request id %q is no upper-case UUID", id)
	}
	delete(out, "RequestId")
	for _, k := range []string{"Code", "code"} {
		if _, there := out[k]; there {
			t.Errorf("a good answer has %q, which the Terraform provider takes for an error", k)
		}
	}
	noNull(t, "", out)
	return out
}

// noNull demands that no value is null: it crashes the Terraform provider.
func noNull(t testing.TB, path string, v any) {
	t.Helper()
	switch v := v.(type) {
	case nil:
		t.Errorf("%s is null", path)
	case map[string]any:
		for k, e := range v {
			noNull(t, path+"."+k, e)
		}
	case []any:
		for _, e := range v {
			noNull(t, path+"[]", e)
		}
	}
}

// same compares whole answers.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// server is one element of a backend server list, in untyped JSON.
func server(id string, weight float64) map[string]any {
	return map[string]any{"ServerId": id, "Weight": weight, "Type": "ecs"}
}

// group is an untyped answer of the actions on the default group.
func group(lb string, servers ...map[string]any) map[string]any {
	list := []any{}
	for _, s := range servers {
		list = append(list, s)
	}
	return map[string]any{"LoadBalancerId": lb, "BackendServers": map[string]any{"BackendServer": list}}
}
