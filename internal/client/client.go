// Package client calls an RPC-style API the way the vendor's SDKs do: it signs
// with V1 or V3 and sends GET or POST. The command line and the tests use it.
package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/openslb/openslb/internal/rpc"
)

// The signatures.
const (
	V1       = "v1"        // HMAC-SHA1, as the older SDKs
	V1SHA256 = "v1-sha256" // HMAC-SHA256 in the same frame
	V3       = "v3"        // ACS3-HMAC-SHA256 in headers, as the newer SDKs
)

// DefaultVersion is the version of the load balancer product.
const DefaultVersion = "2014-05-15"

// maxAnswerBytes bounds what is read of an answer.
const maxAnswerBytes = 64 << 20

// Client calls one endpoint with one key. Its fields must not change while
// calls run; apart from that it is safe for concurrent use.
type Client struct {
	Endpoint  string // http://127.0.0.1:8680; https needs a CA the HTTP client trusts
	KeyID     string
	Secret    string
	Signature string       // V1, V1SHA256 or V3; empty: V1
	Method    string       // GET, or POST with a form body; empty: POST
	Format    string       // JSON or XML; empty: JSON
	Region    string       // sent as RegionId unless the call gives one; empty: not sent
	Version   string       // of the product; empty: DefaultVersion
	HTTP      *http.Client // empty: http.DefaultClient
}

// Error is an answer of the API that reports a failure.
type Error struct {
	Status                   int // HTTP
	Code, Message, RequestID string
}

// Error names all that helps to find the call in the server's log.
func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s (HTTP %d, request %s)", e.Code, e.Message, e.Status, e.RequestID)
}

// Call makes one call and returns the body of the answer as it came. An error
// that the API reports is an *Error; the body is returned beside it.
func (c *Client) Call(ctx context.Context, action string, params map[string]string) ([]byte, error) {
	return c.call(ctx, action, params, c.Format)
}

// Do makes one call and stores the answer, which is asked for in JSON, in out.
// A nil out throws it away.
func (c *Client) Do(ctx context.Context, action string, params map[string]string, out any) error {
	body, err := c.call(ctx, action, params, "JSON")
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("read the answer to %s: %w", action, err)
	}
	return nil
}

func (c *Client) call(ctx context.Context, action string, params map[string]string, format string) ([]byte, error) {
	req, err := c.request(ctx, action, params, format)
	if err != nil {
		return nil, err
	}
	httpClient := c.HTTP
	if httpClient == nil {
		httpClient = http.DefaultClient
	}
	resp, err := httpClient.Do(req)
	if err != nil {
		// The error of net/http repeats the URL, which may hold secrets.
		if e, ok := err.(*url.Error); ok {
			err = e.Err
		}
		return nil, fmt.Errorf("call %s at %s: %w", action, c.Endpoint, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return nil, fmt.Errorf("read the answer to %s: %w", action, err)
	}
	if resp.StatusCode != http.StatusOK {
		return body, parseError(resp, body)
	}
	return body, nil
}

// request builds and signs a request.
func (c *Client) request(ctx context.Context, action string, params map[string]string, format string) (*http.Request, error) {
	method := strings.ToUpper(c.Method)
	if method == "" {
		method = http.MethodPost
	}
	if method != http.MethodGet && method != http.MethodPost {
		return nil, fmt.Errorf("call %s: method %s is neither GET nor POST", action, c.Method)
	}
	values := url.Values{}
	if c.Region != "" {
		values.Set("RegionId", c.Region)
	}
	for name, value := range params {
		values.Set(name, value)
	}
	if format == "" {
		format = "JSON"
	}
	version := c.Version
	if version == "" {
		version = DefaultVersion
	}
	switch c.Signature {
	case "", V1, V1SHA256:
		values.Set("Action", action)
		values.Set("Version", version)
		values.Set("Format", format)
		values.Set("AccessKeyId", c.KeyID)
		values.Set("SignatureMethod", "HMAC-SHA1")
		if c.Signature == V1SHA256 {
			values.Set("SignatureMethod", "HMAC-SHA256")
		}
		values.Set("SignatureVersion", "1.0")
		values.Set("SignatureNonce", rand.Text())
		values.Set("Timestamp", time.Now().UTC().Format("2006-01-02T15:04:05Z"))
		rpc.SignV1(method, values, c.Secret)
	case V3:
	default:
		return nil, fmt.Errorf("call %s: signature %q is none of %s, %s, %s", action, c.Signature, V1, V1SHA256, V3)
	}
	target := strings.TrimSuffix(c.Endpoint, "/") + "/"
	var body []byte
	if method == http.MethodPost {
		body = []byte(values.Encode())
	} else {
		target += "?" + values.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("call %s: endpoint %s is not a URL", action, c.Endpoint)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.Header.Set("Accept", "application/"+strings.ToLower(format))
	if c.Signature == V3 {
		req.Header.Set("x-acs-action", action)
		req.Header.Set("x-acs-version", version)
		rpc.SignV3(req, body, c.KeyID, c.Secret)
	}
	return req, nil
}

// parseError reads an error body in either format.
func parseError(resp *http.Response, body []byte) error {
	var e struct{ Code, Message, RequestId string }
	if json.Unmarshal(body, &e) != nil {
		_ = xml.Unmarshal(body, &e) // a body that is neither leaves e empty
	}
	if e.Code == "" {
		return fmt.Errorf("the answer is not one of the API: HTTP %s", resp.Status)
	}
	return &Error{Status: resp.StatusCode, Code: e.Code, Message: e.Message, RequestID: e.RequestId}
}

// callTimeout bounds one call of HTTPClient's. The node itself waits at most some
// seconds for a change to reach the data plane.
const callTimeout = 60 * time.Second

// HTTPClient returns a client for calls now and then, which also trusts the
// authorities in the PEM file caFile; an empty name means those of the system
// alone. It keeps no connection, and never goes through a proxy: a request to a
// local port would not arrive.
func HTTPClient(caFile string) (*http.Client, error) {
	transport := &http.Transport{Proxy: nil, DisableKeepAlives: true}
	if caFile != "" {
		text, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("read the CA file: %w", err)
		}
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("CA file %s holds no certificate in PEM form", caFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	return &http.Client{Transport: transport, Timeout: callTimeout}, nil
}
