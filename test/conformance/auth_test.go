package conformance

import (
	"testing"

	"github.com/aliyun/alibaba-cloud-sdk-go/services/slb"
)

// wrongSecret is the SDK's own text.
const wrongSecret = "InvalidAccessKeySecret: Please check you AccessKeySecret"

// TestWrongSecret: the SDK compares its own string to sign with the one in the
// server's message, and tells the user that the secret is wrong only when they
// are equal to the byte.
func TestWrongSecret(t *testing.T) {
	n := startNode(t)
	for _, scheme := range []string{"HTTP", "HTTPS"} {
		c := newSDK(t, n, scheme, keyID, "not-the-secret")
		_, err := c.DescribeLoadBalancers(slb.CreateDescribeLoadBalancersRequest())
		if got := wantError(t, err, 0, "SignatureDoesNotMatch", "server string to sign is:"); got != wrongSecret {
			t.Errorf("%s: the SDK recommends %q, want %q", scheme, got, wrongSecret)
		}
		// The same with characters that every encoder treats differently.
		r := slb.CreateCreateLoadBalancerRequest()
		r.LoadBalancerName = "a b+c*d~e/ü&=%"
		_, err = c.CreateLoadBalancer(r)
		if got := wantError(t, err, 0, "SignatureDoesNotMatch", ""); got != wrongSecret {
			t.Errorf("%s: the SDK's string to sign differs from the server's: %v", scheme, err)
		}
	}
}

// TestGatewayErrors are refusals before any action runs.
func TestGatewayErrors(t *testing.T) {
	n := startNode(t)
	c := newSDK(t, n, "HTTP", keyID, keySecret)
	unknown := newSDK(t, n, "HTTP", "nobody", keySecret)
	_, err := unknown.DescribeRegions(slb.CreateDescribeRegionsRequest())
	wantError(t, err, 404, "InvalidAccessKeyId.NotFound", "")
	_, err = common(c, "Slb", slbVersion, "NoSuchAction", "JSON", nil)
	wantError(t, err, 404, "InvalidAction.NotFound", "")
	_, err = common(c, "Slb", "2013-02-21", "DescribeRegions", "JSON", nil)
	wantError(t, err, 0, "InvalidVersion", "")
	_, err = common(c, "Slb", slbVersion, "DeleteLoadBalancer", "JSON", nil)
	wantError(t, err, 400, "MissingParameter", `The input parameter "LoadBalancerId" that is mandatory for processing this request is not supplied.`)
}

// TestOtherProducts asks for what clients ask on their way to the balancer.
func TestOtherProducts(t *testing.T) {
	n := startNode(t)
	c := newSDK(t, n, "HTTP", keyID, keySecret)
	body, err := common(c, "Sts", "2015-04-01", "GetCallerIdentity", "JSON", nil)
	if err != nil {
		t.Fatalf("GetCallerIdentity: %v", err)
	}
	if a := decoded(t, body); a["AccountId"] == "" || a["AccountId"] == nil {
		t.Errorf("GetCallerIdentity: %s", body)
	}
	body, err = common(c, "Location", "2015-06-12", "DescribeEndpoints", "JSON", map[string]string{"Id": region, "ServiceCode": "slb", "Type": "openAPI"})
	if err != nil {
		t.Fatalf("DescribeEndpoints: %v", err)
	}
	list, _ := decoded(t, body)["Endpoints"].(map[string]any)["Endpoint"].([]any)
	if len(list) != 1 || list[0].(map[string]any)["Endpoint"] != hostPort(t, n) {
		t.Errorf("DescribeEndpoints: %s, want %s", body, hostPort(t, n))
	}
}
