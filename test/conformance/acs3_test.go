package conformance

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/testutil"
)

// acs3 is a client of the V3 signature, made from its published description: all
// parameters in the query, an empty body unless form is set, action and version
// in headers.
type acs3 struct {
	host, id, secret string
	http             http.Client
	form             bool // send the parameters as a form body
	// tamper, when set, changes the request after it was signed.
	tamper func(*http.Request)
}

type acs3Error struct {
	status        int
	Code, Message string
}

func escape(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func encode(params map[string]string) string {
	var pairs []string
	for _, k := range slices.Sorted(maps.Keys(params)) {
		pairs = append(pairs, escape(k)+"="+escape(params[k]))
	}
	return strings.Join(pairs, "&")
}

func hexSum(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func (c *acs3) call(version, action string, params map[string]string) (map[string]any, *acs3Error, error) {
	query, body := encode(params), ""
	headers := map[string]string{
		"host":                  c.host,
		"x-acs-action":          action,
		"x-acs-version":         version,
		"x-acs-date":            time.Now().UTC().Format("2006-01-02T15:04:05Z"),
		"x-acs-signature-nonce": fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64()),
	}
	if c.form {
		query, body = "", query
		headers["content-type"] = "application/x-www-form-urlencoded"
	}
	headers["x-acs-content-sha256"] = hexSum(body)
	names := slices.Sorted(maps.Keys(headers))
	var lines strings.Builder
	for _, name := range names {
		lines.WriteString(name + ":" + headers[name] + "\n")
	}
	signed := strings.Join(names, ";")
	canonical := strings.Join([]string{"POST", "/", query, lines.String(), signed, hexSum(body)}, "\n")
	mac := hmac.New(sha256.New, []byte(c.secret))
	mac.Write([]byte("ACS3-HMAC-SHA256\n" + hexSum(canonical)))

	r, err := http.NewRequest("POST", "http://"+c.host+"/?"+query, strings.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	r.Header.Set("accept", "application/json")
	r.Header.Set("Authorization", "ACS3-HMAC-SHA256 Credential="+c.id+",SignedHeaders="+signed+",Signature="+hex.EncodeToString(mac.Sum(nil)))
	if c.tamper != nil {
		c.tamper(r)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, err
	}
	if resp.StatusCode != 200 {
		e := &acs3Error{status: resp.StatusCode}
		return nil, e, json.Unmarshal(text, e)
	}
	if ct := resp.Header.Get("Content-Type"); ct != "application/json;charset=utf-8" {
		return nil, nil, fmt.Errorf("content type %q", ct)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, nil, fmt.Errorf("%w in %s", err, text)
	}
	return out, nil, nil
}

// TestVector compares the client above with the computed sample for V3 without a
// body, so that a mistake in it is not mistaken for one of the server.
func TestVector(t *testing.T) {
	const want = "6e5c0927b8066afef20f595e565a0a67797bb94785f64c3f400fedcf9b83fe6f"
	query := encode(map[string]string{"RegionId": "cn-hangzhou", "LoadBalancerId": "lb-demo0001",
		"BackendServers": `[{"ServerId":"i-bp1demo0001","Weight":"100","Type":"ecs","Description":"web *~ a+b/ü"}]`})
	canonical := strings.Join([]string{"POST", "/", query,
		"host:127.0.0.1:8080", "x-acs-action:AddBackendServers", "x-acs-content-sha256:" + hexSum(""),
		"x-acs-date:2024-01-02T03:04:05Z", "x-acs-signature-nonce:6f2c1a34-0002", "x-acs-version:2014-05-15", "",
		"host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version", hexSum("")}, "\n")
	if got := hexSum(canonical); got != want {
		t.Errorf("hash of the canonical request: %s, want %s", got, want)
	}
}

// TestACS3LifeCycle is the same road with the V3 signature, once with the
// parameters in the query and once in a form body.
func TestACS3LifeCycle(t *testing.T) {
	testutil.NoLeaks(t)
	n := startNode(t)
	for _, form := range []bool{false, true} {
		t.Run(map[bool]string{false: "query", true: "form"}[form], func(t *testing.T) {
			c := &acs3{host: hostPort(t, n), id: keyID, secret: keySecret, form: form}
			defer c.http.CloseIdleConnections()
			must := func(version, action string, params map[string]string) map[string]any {
				t.Helper()
				params["RegionId"] = region
				out, apiErr, err := c.call(version, action, params)
				if err != nil || apiErr != nil {
					t.Fatalf("%s: %+v, %v", action, apiErr, err)
				}
				return out
			}
			web := testutil.HTTPServers(t, "i-acs3-"+fmt.Sprint(form))[0]
			must(openslbVersion, "RegisterServer", map[string]string{"ServerId": web.ID, "Address.1": web.Addr().Addr().String()})
			lb, _ := must(slbVersion, "CreateLoadBalancer", map[string]string{"LoadBalancerName": "acs3", "Tag.1.Key": "odd", "Tag.1.Value": "x *~ a+b/ü"})["LoadBalancerId"].(string)
			port := fmt.Sprint(18090)
			must(slbVersion, "CreateLoadBalancerHTTPListener", map[string]string{"LoadBalancerId": lb, "ListenerPort": port,
				"BackendServerPort": fmt.Sprint(web.Addr().Port()), "Bandwidth": "-1", "StickySession": "off", "HealthCheck": "off"})
			must(slbVersion, "StartLoadBalancerListener", map[string]string{"LoadBalancerId": lb, "ListenerPort": port})
			added := must(slbVersion, "AddBackendServers", map[string]string{"LoadBalancerId": lb, "BackendServers": `[{"ServerId":"` + web.ID + `","Weight":"100"}]`})
			delete(added, "RequestId")
			same(t, "AddBackendServers", added, group(lb, server(web.ID, 100)))
			attribute := must(slbVersion, "DescribeLoadBalancerAttribute", map[string]string{"LoadBalancerId": lb})
			same(t, "tags", attribute["Tags"], map[string]any{"Tag": []any{map[string]any{"TagKey": "odd", "TagValue": "x *~ a+b/ü"}}})
			get(t, addrOf(t, attribute["Address"], 18090), web.ID)
			must(slbVersion, "DeleteLoadBalancer", map[string]string{"LoadBalancerId": lb})
		})
	}
}

// TestACS3Errors: what was signed is what is served.
func TestACS3Errors(t *testing.T) {
	n := startNode(t)
	base := acs3{host: hostPort(t, n), id: keyID, secret: keySecret}
	for _, tc := range []struct {
		name   string
		change func(*acs3)
		code   string
	}{
		{"wrong secret", func(c *acs3) { c.secret = "no" }, "SignatureDoesNotMatch"},
		{"unknown key", func(c *acs3) { c.id = "nobody" }, "InvalidAccessKeyId.NotFound"},
		{"another query", func(c *acs3) { c.tamper = func(r *http.Request) { r.URL.RawQuery += "&PageSize=1" } }, "SignatureDoesNotMatch"},
		{"another action", func(c *acs3) { c.tamper = func(r *http.Request) { r.Header.Set("x-acs-action", "DescribeZones") } }, "SignatureDoesNotMatch"},
		{"an old request", func(c *acs3) {
			c.tamper = func(r *http.Request) { r.Header.Set("x-acs-date", "2024-01-02T03:04:05Z") }
		}, "InvalidTimeStamp.Expired"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := base
			tc.change(&c)
			defer c.http.CloseIdleConnections()
			_, apiErr, err := c.call(slbVersion, "DescribeRegions", map[string]string{"RegionId": region})
			if err != nil {
				t.Fatal(err)
			}
			if apiErr == nil || apiErr.Code != tc.code || apiErr.Message == "" {
				t.Errorf("got %+v, want %s", apiErr, tc.code)
			}
		})
	}
	t.Run("replay", func(t *testing.T) {
		c := base
		defer c.http.CloseIdleConnections()
		var kept *http.Request
		c.tamper = func(r *http.Request) { kept = r.Clone(r.Context()) }
		if _, apiErr, err := c.call(slbVersion, "DescribeRegions", map[string]string{"RegionId": region}); err != nil || apiErr != nil {
			t.Fatalf("%+v, %v", apiErr, err)
		}
		kept.Body = http.NoBody
		resp, err := c.http.Do(kept)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 400 || !strings.Contains(string(text), "SignatureNonceUsed") {
			t.Errorf("replayed request: %d %s", resp.StatusCode, text)
		}
	})
}
