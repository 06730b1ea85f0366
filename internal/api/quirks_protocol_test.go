package api

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
)

// common are the parameters of every signed call of an action.
func (w *world) common(action string) url.Values {
	return url.Values{
		"Action": {action}, "Version": {w.versions[action]}, "Format": {"JSON"}, "AccessKeyId": {"testid"},
		"SignatureMethod": {"HMAC-SHA1"}, "SignatureVersion": {"1.0"}, "SignatureNonce": {fmt.Sprint("q", w.nonce.Add(1))},
		"Timestamp": {time.Now().UTC().Format(time.RFC3339)},
	}
}

// raw sends parameters in query and form as they are.
func (w *world) raw(method string, query, form url.Values) (int, string) {
	w.t.Helper()
	r := httptest.NewRequest(method, "/?"+query.Encode(), strings.NewReader(form.Encode()))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec.Code, rec.Body.String()
}

// signed signs all together and sends what of moves into the form.
func (w *world) signed(method string, all url.Values, form ...string) (int, string) {
	rpc.SignV1(method, all, "testsecret")
	body := url.Values{}
	for _, name := range form {
		body[name] = all[name]
		delete(all, name)
	}
	return w.raw(method, all, body)
}

// TestQuirk4And5EmptyNamesAndValues: both are signed, and mean nothing.
func TestQuirk4And5EmptyNamesAndValues(t *testing.T) {
	w := newWorld(t)
	q := w.common("DescribeRegions")
	q[""], q["SignatureType"] = []string{"80"}, []string{""}
	if status, body := w.signed(http.MethodPost, q); status != 200 {
		t.Error(status, body)
	}
	for _, name := range []string{"", "SignatureType"} {
		q := w.common("DescribeRegions")
		rpc.SignV1(http.MethodPost, q, "testsecret")
		q[name] = []string{""} // after signing
		if status, body := w.raw(http.MethodPost, q, nil); status != 400 || !strings.Contains(body, "SignatureDoesNotMatch") {
			t.Errorf("unsigned %q: %d %s", name, status, body)
		}
	}
}

// TestQuirk10And11Codes: every error has Code and Message, and none is one that
// clients repeat a call for without need.
func TestQuirk10And11Codes(t *testing.T) {
	w := newWorld(t)
	for _, q := range []url.Values{{}, {"Action": {"DescribeRegions"}}, w.common("Nothing"), {"Format": {"JSON"}, "Version": {"2014-05-15"}, "Action": {"DescribeRegions"}}} {
		q.Set("Format", "JSON")
		status, body := w.raw(http.MethodGet, q, nil)
		if status < 400 || !strings.Contains(body, `"Code":"`) || strings.Contains(body, `"Code":""`) || !strings.Contains(body, `"Message":"`) {
			t.Errorf("%v: %d %s", q, status, body)
		}
	}
	retried := []string{"ServiceIsConfiguring", "BackendServer.configuring", "ServiceIsStopping", "OperationBusy", "SystemBusy", "VServerGroupProcessing",
		"OperationFailed.ListenerStatusNotSupport", "AclEntryProcessing", "DomainExtensionProcessing", "OperationFailed.TokenIsProcessing", "Throttling", "ServiceUnavailable"}
	for _, r := range append(append(append(wrongs, wrongListeners()...), wrongGroups()...), wrongHTTPS()...) {
		for _, code := range retried {
			if strings.Contains(r.want.Code, code) {
				t.Errorf("%s/%s: code %s makes clients try again", r.action, r.name, r.want.Code)
			}
		}
	}
}

// TestQuirk15OnePathManyPlaces: query, form or both, signed over the union.
func TestQuirk15OnePathManyPlaces(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		method string
		form   []string
	}{
		"GET":            {http.MethodGet, nil},
		"POST, query":    {http.MethodPost, nil},
		"POST, both":     {http.MethodPost, []string{"RegionId", "LoadBalancerName"}},
		"POST, all form": {http.MethodPost, []string{"Action", "Version", "Format", "AccessKeyId", "SignatureMethod", "SignatureVersion", "SignatureNonce", "Timestamp", "Signature", "RegionId", "LoadBalancerName"}},
	} {
		q := w.common("CreateLoadBalancer")
		q.Set("RegionId", "cn-hangzhou")
		q.Set("LoadBalancerName", "web")
		if status, body := w.signed(c.method, q, c.form...); status != 200 || !strings.Contains(body, `"LoadBalancerName":"web"`) {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
}

// TestQuirk16FormatNotGiven: XML, as the gateway does.
func TestQuirk16FormatNotGiven(t *testing.T) {
	w := newWorld(t)
	for format, prefix := range map[string]string{"": "<?xml", "XML": "<?xml", "xml": "<?xml", "JSON": "{", "json": "{"} {
		q := w.common("DescribeRegions")
		q.Set("Format", format)
		if format == "" {
			q.Del("Format")
		}
		if status, body := w.signed(http.MethodGet, q); status != 200 || !strings.HasPrefix(body, prefix) {
			t.Errorf("%q: %d %s", format, status, body)
		}
	}
}

// TestQuirk17And18And19Gateway: both spellings of the time, the product's own
// version, and the codes of today's gateway.
func TestQuirk17And18And19Gateway(t *testing.T) {
	w := newWorld(t)
	q := w.common("DescribeRegions")
	q["TimeStamp"] = q["Timestamp"]
	q.Del("Timestamp")
	if status, body := w.signed(http.MethodGet, q); status != 200 {
		t.Error(status, body)
	}
	for _, c := range []struct {
		name, value, code string
		status            int
	}{
		{"Version", "2014-05-26", "InvalidAction.NotFound", 404}, // another product's, which has no such action
		{"Version", "2014-05-16", "InvalidVersion", 404},
		{"Action", "DescribeNothing", "InvalidAction.NotFound", 404},
		{"Action", "describeRegions", "InvalidAction.NotFound", 404},
		{"Timestamp", time.Now().UTC().Add(-16 * time.Minute).Format(time.RFC3339), "InvalidTimeStamp.Expired", 400},
		{"Timestamp", time.Now().UTC().Add(16 * time.Minute).Format(time.RFC3339), "InvalidTimeStamp.Expired", 400},
		{"AccessKeyId", "nobody", "InvalidAccessKeyId.NotFound", 404},
	} {
		q := w.common("DescribeRegions")
		q.Set(c.name, c.value)
		if status, body := w.signed(http.MethodGet, q); status != c.status || !strings.Contains(body, `"Code":"`+c.code+`"`) {
			t.Errorf("%s=%s: %d %s, want %d %s", c.name, c.value, status, body, c.status, c.code)
		}
	}
}

// TestQuirk22Roots: the root of every answer in XML is the action's name, none of
// the misprints.
func TestQuirk22Roots(t *testing.T) {
	for _, g := range goldens {
		w := newWorld(t)
		lb := ""
		if g.setup != nil {
			lb = g.setup(w)
		}
		for _, call := range g.calls {
			p := make(params, len(call))
			for i, v := range call {
				p[i] = w.fill(v, lb)
			}
			status, body := w.send("XML", g.action, p)
			want := "Error"
			if status == 200 {
				want = g.action + "Response"
			}
			var root struct{ XMLName xml.Name }
			if err := xml.Unmarshal([]byte(body), &root); err != nil || root.XMLName.Local != want {
				t.Errorf("%s: %d, root %s, %v", g.action, status, root.XMLName.Local, err)
			}
		}
	}
}

// TestQuirk25OwnerAccount: whoever is named there.
func TestQuirk25OwnerAccount(t *testing.T) {
	w := newWorld(t)
	w.ok("DescribeLoadBalancers", "RegionId", "cn-hangzhou", "OwnerAccount", "x@y", "OwnerId", "no number", "ResourceOwnerAccount", "?", "ResourceOwnerId", "-1")
}

// TestQuirk23And24Texts are the texts of two errors, letter by letter.
func TestQuirk23And24Texts(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		action        string
		p             params
		status        int
		code, message string
	}{
		{"DescribeLoadBalancerAttribute", params{"LoadBalancerId", "lb-none"}, 404, "InvalidLoadBalancerId.NotFound", "The specified LoadBalancerId does not exist."},
		{"DescribeLoadBalancerAttribute", nil, 400, "MissingParameter", `The input parameter "LoadBalancerId" that is mandatory for processing this request is not supplied.`},
	} {
		if status, a := w.try(c.action, c.p...); status != c.status || a["Code"] != c.code || a["Message"] != c.message {
			t.Errorf("%d %v", status, a)
		}
	}
}

// TestQuirk36And37Names: a group that nobody has seen is not there, and the old
// words stay.
func TestQuirk36And37Names(t *testing.T) {
	w := newWorld(t)
	lb := w.create("MasterZoneId", "zone-1", "SlaveZoneId", "zone-2")
	for _, format := range []string{"JSON", "XML"} {
		_, body := w.send(format, "DescribeLoadBalancerAttribute", params{"LoadBalancerId", lb})
		if strings.Contains(body, "LoadBalancerSpeficGroup") || !bytes.Contains([]byte(body), []byte("MasterZoneId")) || !strings.Contains(body, "SlaveZoneId") {
			t.Error(body)
		}
	}
	if a := w.ok("DescribeZones", "RegionId", "cn-hangzhou"); a.at(t, "Zones", "Zone", 0, "SlaveZones", "SlaveZone") == nil {
		t.Error(a)
	}
	if slb.ErrPairNotTwo.Code != "BACKEND_SERVERS_NUM_MUST_BE_TWO" {
		t.Error(slb.ErrPairNotTwo)
	}
}
