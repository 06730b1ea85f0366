package client

import (
	"encoding/pem"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth/credentials"
	sdkerrors "github.com/aliyun/alibaba-cloud-sdk-go/sdk/errors"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
)

func pemOf(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

// TestVendorSDK lets the vendor's older SDK make the calls: what it signs is
// the measure, not what we believe it signs.
func TestVendorSDK(t *testing.T) {
	addr, _ := serve(t)
	call := func(secret, method, text string) (string, error) {
		c, err := sdk.NewClientWithOptions("local", sdk.NewConfig(), credentials.NewAccessKeyCredential("testid", secret))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Shutdown()
		r := requests.NewCommonRequest()
		r.Method, r.Scheme, r.Domain, r.Version, r.ApiName = method, "http", addr, "2014-05-15", "Echo"
		r.QueryParams["ResourceId.1"] = "a"
		r.QueryParams["ResourceId.10"] = "b"
		r.QueryParams["Empty"] = ""
		if method == "POST" {
			r.FormParams["Text"] = text
		} else {
			r.QueryParams["Text"] = text
		}
		resp, err := c.ProcessCommonRequest(r)
		if err != nil {
			return "", err
		}
		return resp.GetHttpContentString(), nil
	}
	for _, method := range []string{"GET", "POST"} {
		const text = "a b+c/*~ü='\"&"
		body, err := call("testsecret", method, text)
		if err != nil || !strings.HasPrefix(body, `{"Text":"a b+c/*~ü='\"&","Ids":{"Id":["a","b"]},"RegionId":"local","RequestId":"`) {
			t.Errorf("%s: %s, %v", method, body, err)
		}
		// The SDK reads the string to sign out of the message, finds it equal to
		// its own and concludes that the secret must be wrong.
		_, err = call("wrong", method, text)
		if err == nil || !strings.Contains(err.Error(), "InvalidAccessKeySecret") {
			t.Errorf("%s with a wrong secret: %v", method, err)
		}
		_, err = call("testsecret", method, "")
		if e, ok := err.(*sdkerrors.ServerError); !ok || e.ErrorCode() != "MissingParameter" || e.HttpStatus() != 400 || e.RequestId() == "" || e.HostId() != addr || e.Recommend() == "" {
			t.Errorf("%s without Text: %T %v", method, err, err)
		}
	}
}
