package client

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/rpc"
)

// fakeKeys has one key.
type fakeKeys struct{}

func (fakeKeys) Secret(_ context.Context, id string) (string, bool, error) {
	if id != "testid" {
		return "", false, rpc.ErrUnknownKey
	}
	return "testsecret", true, nil
}

type echoParams struct {
	Text   string   `param:"Text,required"`
	IDs    []string `param:"ResourceId.N"`
	Region string   `param:"RegionId"`
}

type echoResult struct {
	Text   string   `out:"Text"`
	IDs    []string `out:"Ids>Id"`
	Region string   `out:"RegionId,omitempty"`
}

func handler() http.Handler {
	echo := func(_ context.Context, p *echoParams) (*echoResult, error) {
		return &echoResult{p.Text, p.IDs, p.Region}, nil
	}
	return rpc.NewHandler(rpc.Options{
		Mux: rpc.NewMux(rpc.Product{Name: "Slb", Version: "2014-05-15", Actions: []rpc.Action{rpc.NewAction("Echo", echo)}},
			rpc.Product{Name: "Ecs", Version: "2014-05-26", Actions: []rpc.Action{rpc.NewAction("EchoEcs", echo)}}),
		Keys: fakeKeys{}, Logger: slog.New(slog.DiscardHandler),
	})
}

// serve runs the handler on HTTP and TLS, and writes the certificate to trust.
func serve(t *testing.T) (addr, caFile string) {
	t.Helper()
	tlsServer := httptest.NewUnstartedServer(nil)
	tlsServer.StartTLS() // for its certificate, good for 127.0.0.1
	config := &tls.Config{Certificates: tlsServer.TLS.Certificates}
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, pemOf(tlsServer), 0o600); err != nil {
		t.Fatal(err)
	}
	tlsServer.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- rpc.NewServer(rpc.ServerOptions{Handler: handler(), TLS: config, Logger: slog.New(slog.DiscardHandler)}).Serve(ctx, ln)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String(), caFile
}

func newClient(t *testing.T, caFile string) *http.Client {
	t.Helper()
	c, err := HTTPClient(caFile)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func TestCalls(t *testing.T) {
	addr, caFile := serve(t)
	httpClient := newClient(t, caFile)
	const text = "a b+c/*~ü='\"&"
	params := map[string]string{"Text": text, "ResourceId.1": "x", "ResourceId.2": "y"}
	for _, scheme := range []string{"http", "https"} {
		for _, signature := range []string{"", V1, V1SHA256, V3} {
			for _, method := range []string{"", "GET", "post"} {
				t.Run(scheme+" "+signature+" "+method, func(t *testing.T) {
					c := &Client{Endpoint: scheme + "://" + addr, KeyID: "testid", Secret: "testsecret", HTTP: httpClient, Signature: signature, Method: method, Region: "local"}
					var got struct {
						Text, RegionId, RequestId string
						Ids                       struct{ Id []string }
					}
					if err := c.Do(t.Context(), "Echo", params, &got); err != nil {
						t.Fatal(err)
					}
					if got.Text != text || strings.Join(got.Ids.Id, ",") != "x,y" || got.RegionId != "local" || got.RequestId == "" {
						t.Errorf("%+v", got)
					}
					if err := c.Do(t.Context(), "Echo", params, nil); err != nil {
						t.Error(err)
					}
					xml := *c
					xml.Format = "XML"
					body, err := xml.Call(t.Context(), "Echo", map[string]string{"Text": "t", "RegionId": "other"})
					if err != nil || !strings.Contains(string(body), "<EchoResponse><Text>t</Text><Ids></Ids><RegionId>other</RegionId>") {
						t.Errorf("%s, %v", body, err)
					}
				})
			}
		}
	}
}

func TestErrors(t *testing.T) {
	addr, _ := serve(t)
	httpClient := newClient(t, "")
	base := Client{Endpoint: "http://" + addr + "/", KeyID: "testid", Secret: "testsecret", HTTP: httpClient}
	for name, tc := range map[string]struct {
		change func(*Client)
		action string
		status int
		code   string
	}{
		"of the action":       {func(*Client) {}, "Echo", 400, "MissingParameter"},
		"in XML":              {func(c *Client) { c.Format = "XML" }, "Echo", 400, "MissingParameter"},
		"V3 in XML":           {func(c *Client) { c.Format, c.Signature = "XML", V3 }, "Echo", 400, "MissingParameter"},
		"unknown action":      {func(*Client) {}, "Nothing", 404, "InvalidAction.NotFound"},
		"another product":     {func(c *Client) { c.Version = "2014-05-26" }, "EchoEcs", 400, "MissingParameter"},
		"unknown key":         {func(c *Client) { c.KeyID = "nobody" }, "Echo", 404, "InvalidAccessKeyId.NotFound"},
		"wrong secret":        {func(c *Client) { c.Secret = "x" }, "Echo", 400, "SignatureDoesNotMatch"},
		"wrong secret for V3": {func(c *Client) { c.Secret, c.Signature = "x", V3 }, "Echo", 400, "SignatureDoesNotMatch"},
	} {
		t.Run(name, func(t *testing.T) {
			c := base
			tc.change(&c)
			body, err := c.Call(t.Context(), tc.action, nil)
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Status != tc.status || e.Code != tc.code || e.Message == "" || !strings.Contains(string(body), e.RequestID) || e.RequestID == "" {
				t.Errorf("%v\n%s", err, body)
			}
			if ok && (!strings.Contains(e.Error(), e.RequestID) || !strings.Contains(e.Error(), e.Code)) {
				t.Errorf("text %q", e)
			}
		})
	}
}

func TestOtherFailures(t *testing.T) {
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("Action") == "Page" {
			io.WriteString(w, "<html>welcome</html>")
			return
		}
		http.Error(w, "<html>bad gateway</html>", http.StatusBadGateway)
	}))
	defer page.Close()
	closed := httptest.NewServer(nil)
	closed.Close()
	for name, tc := range map[string]struct {
		c      Client
		action string
		want   string
	}{
		"no API":         {Client{Endpoint: page.URL}, "X", "HTTP 502 Bad Gateway"},
		"no JSON":        {Client{Endpoint: page.URL, Method: "GET"}, "Page", "read the answer to Page"},
		"nobody there":   {Client{Endpoint: closed.URL, Method: "GET"}, "X", "connection refused"},
		"no URL":         {Client{Endpoint: "://"}, "X", "is not a URL"},
		"method":         {Client{Endpoint: page.URL, Method: "PUT"}, "X", "neither GET nor POST"},
		"signature name": {Client{Endpoint: page.URL, Signature: "v2"}, "X", "none of v1"},
	} {
		tc.c.Secret = "testsecret"
		err := tc.c.Do(t.Context(), tc.action, map[string]string{"PrivateKey": "MIISECRET"}, &struct{}{})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "MIISECRET") {
			t.Errorf("%s: a parameter stands in the error %q", name, err)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	file := filepath.Join(t.TempDir(), "empty.pem")
	os.WriteFile(file, nil, 0o600)
	for _, name := range []string{file, file + "x"} {
		if _, err := HTTPClient(name); err == nil || !strings.Contains(err.Error(), "CA file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUntrustedServer(t *testing.T) {
	addr, _ := serve(t)
	c := &Client{Endpoint: "https://" + addr, HTTP: newClient(t, "")}
	if _, err := c.Call(t.Context(), "Echo", nil); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("error %v", err)
	}
}
