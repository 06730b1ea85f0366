package conformance

import (
	"encoding/xml"
	"fmt"
	"strings"
	"testing"

	"github.com/aliyun/alibaba-cloud-sdk-go/services/slb"
)

// TestBackendServerForms sends BackendServers in every spelling that clients are
// known to use, through CommonRequest, and compares the whole answer.
func TestBackendServerForms(t *testing.T) {
	n := startNode(t)
	c := newSDK(t, n, "HTTP", keyID, keySecret)
	register(t, c, map[string]string{"i-a": "127.0.0.2", "i-b": "127.0.0.3", "eni-c": "127.0.0.4"})

	described := server("i-a", 70)
	described["Description"] = "web-1"
	eni := server("eni-c", 30)
	eni["Type"] = "eni"
	ccm := server("i-a", 40)
	ccm["Description"] = "k8s/30801/svc/default/c"
	for _, tc := range []struct {
		name, text string
		want       []map[string]any
	}{
		{"reference page", `[{"ServerId":"i-a","Weight":"100"},{"ServerId":"i-b","Weight":"100"}]`, []map[string]any{server("i-a", 100), server("i-b", 100)}},
		{"numbers as numbers", `[{"ServerId":"i-a","Weight":80},{"ServerId":"i-b","Weight":0}]`, []map[string]any{server("i-a", 80), server("i-b", 0)}},
		{"default weight", `[{"ServerId":"i-a"}]`, []map[string]any{server("i-a", 100)}},
		{"of duplicates the first", `[{"ServerId":"i-a","Weight":"20"},{"ServerId":"i-a","Weight":"30"},{"ServerId":"i-b","Weight":"40"}]`, []map[string]any{server("i-a", 20), server("i-b", 40)}},
		{"terraform", `[{'ServerId':'i-a','Weight':'90', 'Type': 'ecs'},{'ServerId':'i-b','Weight':'10', 'Type': 'ecs'}]`, []map[string]any{server("i-a", 90), server("i-b", 10)}},
		{"cloud controller", `[{"IsUserManaged":false,"NodeName":null,"description":"k8s/30801/svc/default/c","serverId":"i-a","serverIp":"","weight":40,"port":30801,"type":"ecs","TargetRef":null,"Invalid":false}]`, []map[string]any{ccm}},
		{"description", `[{"ServerId":"i-a","Weight":"70","Type":"ecs","Description":"web-1"}]`, []map[string]any{described}},
		{"eni with its address", `[{"ServerId":"eni-c","Weight":"30","Type":"eni","ServerIp":"127.0.0.4"}]`, []map[string]any{eni}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			lb := createLoadBalancer(t, c, "forms").LoadBalancerId
			body, err := common(c, "Slb", slbVersion, "AddBackendServers", "JSON", map[string]string{"LoadBalancerId": lb, "BackendServers": tc.text})
			if err != nil {
				t.Fatalf("AddBackendServers: %v", err)
			}
			same(t, "answer", decoded(t, body), group(lb, tc.want...))
			// Adding once more changes nothing.
			body, err = common(c, "Slb", slbVersion, "AddBackendServers", "JSON", map[string]string{"LoadBalancerId": lb, "BackendServers": tc.text})
			if err != nil {
				t.Fatalf("AddBackendServers again: %v", err)
			}
			same(t, "answer to the repetition", decoded(t, body), group(lb, tc.want...))
		})
	}
}

// TestBackendServerErrors asks for what must be refused, and demands that
// nothing was changed by it.
func TestBackendServerErrors(t *testing.T) {
	n := startNode(t)
	c := newSDK(t, n, "HTTP", keyID, keySecret)
	servers := map[string]string{"i-run": "127.0.0.2", "i-stop": "127.0.0.3"}
	var many, twenty []string
	for i := range 21 {
		id := fmt.Sprintf("i-%02d", i)
		servers[id] = "127.0.0.9"
		many = append(many, `{"ServerId":"`+id+`"}`)
	}
	twenty = many[:20]
	register(t, c, servers)
	if _, err := common(c, "OpenSLB", openslbVersion, "SetServerStatus", "JSON", map[string]string{"ServerId": "i-stop", "Status": "Stopped"}); err != nil {
		t.Fatal(err)
	}
	lb := createLoadBalancer(t, c, "errors").LoadBalancerId
	for _, tc := range []struct {
		name, lb, text string
		status         int
		code, message  string
	}{
		{"21 servers", lb, "[" + strings.Join(many, ",") + "]", 400, "TooManyBackendServers", "20"},
		{"stopped server", lb, `[{"ServerId":"i-run"},{"ServerId":"i-stop"}]`, 400, "ObtainIpFail", "do not exist or are not running"},
		{"unregistered server", lb, `[{"ServerId":"i-nobody"}]`, 400, "ObtainIpFail", "do not exist or are not running"},
		{"weight above 100", lb, `[{"ServerId":"i-run","Weight":"101"}]`, 400, "InvalidWeight.Malformed", ""},
		{"weight below 0", lb, `[{"ServerId":"i-run","Weight":-1}]`, 400, "InvalidWeight.Malformed", ""},
		{"weight in words", lb, `[{"ServerId":"i-run","Weight":"many"}]`, 400, "InvalidWeight.Malformed", ""},
		{"no JSON", lb, `[{"ServerId"`, 400, "InvalidParameter", "The specified BackendServers is invalid"},
		{"no ServerId", lb, `[{"Weight":"100"}]`, 400, "InvalidParameter", ""},
		{"missing", lb, "", 400, "MissingParameter", "BackendServers"},
		{"unknown instance", "lb-nobody", `[{"ServerId":"i-run"}]`, 404, "InvalidLoadBalancerId.NotFound", "LoadBalancerId does not exist"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := slb.CreateAddBackendServersRequest()
			r.LoadBalancerId, r.BackendServers = tc.lb, tc.text
			_, err := c.AddBackendServers(r)
			wantError(t, err, tc.status, tc.code, tc.message)
		})
	}
	body, err := common(c, "Slb", slbVersion, "AddBackendServers", "JSON", map[string]string{"LoadBalancerId": lb, "BackendServers": "[" + strings.Join(twenty, ",") + "]"})
	if err != nil {
		t.Fatalf("20 servers: %v", err)
	}
	list := decoded(t, body)["BackendServers"].(map[string]any)["BackendServer"].([]any)
	if len(list) != 20 {
		t.Errorf("group has %d servers, want the 20 of the last call alone", len(list))
	}
}

// addAnswer is the XML form of the answer as a strict reader sees it.
type addAnswer struct {
	XMLName xml.Name
	Servers []struct {
		ServerID    string  `xml:"ServerId"`
		Weight      int     `xml:"Weight"`
		Type        string  `xml:"Type"`
		Description *string `xml:"Description"`
	} `xml:"BackendServers>BackendServer"`
	RequestID      string `xml:"RequestId"`
	LoadBalancerID string `xml:"LoadBalancerId"`
}

// TestXML asks the SDK for XML, which is also what a caller without Format gets.
func TestXML(t *testing.T) {
	n := startNode(t)
	c := newSDK(t, n, "HTTP", keyID, keySecret)
	register(t, c, map[string]string{"i-2zej4lxhjoq1icue6kup": "127.0.0.2", "i-2ze1u9ywulp5pbvvc7hv": "127.0.0.3"})
	lb := createLoadBalancer(t, c, "xml").LoadBalancerId

	body, err := common(c, "Slb", slbVersion, "AddBackendServers", "XML", map[string]string{"LoadBalancerId": lb,
		"BackendServers": `[{"ServerId":"i-2zej4lxhjoq1icue6kup","Weight":"100"},{"ServerId":"i-2ze1u9ywulp5pbvvc7hv","Weight":"100"}]`})
	if err != nil {
		t.Fatalf("AddBackendServers: %v", err)
	}
	var got addAnswer
	if err := xml.Unmarshal([]byte(body), &got); err != nil {
		t.Fatalf("not XML: %v in %s", err, body)
	}
	if got.XMLName.Local != "AddBackendServersResponse" || got.LoadBalancerID != lb || len(got.RequestID) != 36 || len(got.Servers) != 2 {
		t.Errorf("answer: %s", body)
	}
	for i, id := range []string{"i-2zej4lxhjoq1icue6kup", "i-2ze1u9ywulp5pbvvc7hv"} {
		if s := got.Servers[i]; s.ServerID != id || s.Weight != 100 || s.Type != "ecs" || s.Description != nil {
			t.Errorf("server %d: %+v", i, s)
		}
	}
	if !strings.HasPrefix(body, "<?xml") {
		t.Errorf("no XML declaration: %.60s", body)
	}

	// An error in XML: the SDK passes the body on as it is.
	_, err = common(c, "Slb", slbVersion, "AddBackendServers", "XML", map[string]string{"LoadBalancerId": "lb-nobody", "BackendServers": `[{"ServerId":"i-x"}]`})
	if err == nil || !strings.Contains(err.Error(), "<Code>InvalidLoadBalancerId.NotFound</Code>") || !strings.Contains(err.Error(), "<Error>") {
		t.Errorf("error in XML: %v", err)
	}
}
