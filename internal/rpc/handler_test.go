package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// The clock of the tests stands where the vectors are signed.
var vectorTime = time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)

// fakeKeys is a KeyStore.
type fakeKeys map[string]string

func (k fakeKeys) Secret(_ context.Context, id string) (string, bool, error) {
	switch secret, ok := k[id]; {
	case id == "brokenid":
		return "", false, errors.New("the store is away")
	case !ok:
		return "", false, fmt.Errorf("key %q: %w", id, ErrUnknownKey)
	default:
		return secret, !strings.HasPrefix(id, "disabled"), nil
	}
}

type serverEntry struct {
	ServerID string `param:"ServerId" out:"ServerId"`
	Weight   int    `param:"Weight" default:"100" range:"0..100" out:"Weight"`
	Type     string `param:"Type" default:"ecs" out:"Type,omitempty"`
	Text     string `param:"Description" out:"Description,omitempty"`
}

type addServersParams struct {
	ID      string        `param:"LoadBalancerId,required"`
	Servers []serverEntry `param:"BackendServers,required" jsonparam:"true" listmax:"20"`
}

type serversResult struct {
	ID      string        `out:"LoadBalancerId"`
	Servers []serverEntry `out:"BackendServers>BackendServer"`
}

type nameParams struct {
	ID   string `param:"LoadBalancerId,required"`
	Name string `param:"LoadBalancerName,required" maxlen:"80"`
}

// testProduct is a small product whose actions show each way to end.
func testProduct() Product {
	return Product{Name: "Slb", Version: "2014-05-15", Actions: []Action{
		NewAction("AddBackendServers", func(_ context.Context, p *addServersParams) (*serversResult, error) {
			return &serversResult{p.ID, p.Servers}, nil
		}),
		NewAction("SetLoadBalancerName", func(_ context.Context, p *nameParams) (*Empty, error) {
			if p.ID != "lb-demo0001" {
				return nil, fmt.Errorf("lookup: %w", &Error{404, "InvalidLoadBalancerId.NotFound", "The specified LoadBalancerId does not exist."})
			}
			return nil, nil
		}),
		NewAction("DescribeRegions", func(ctx context.Context, _ *NoParams) (*callerResult, error) {
			c := CallerFrom(ctx)
			return &callerResult{c.AccessKeyID, c.RegionID, c.Action, c.RequestID, c.Remote.String()}, nil
		}),
		NewAction("Panic", func(context.Context, *NoParams) (*Empty, error) { panic("spilled") }),
		NewAction("Fail", func(context.Context, *NoParams) (*Empty, error) { return nil, errors.New("secret detail") }),
		NewAction("Odd", func(context.Context, *NoParams) (*Empty, error) { return nil, &Error{200, "", "looks fine"} }),
		NewAction("Wait", func(ctx context.Context, _ *NoParams) (*Empty, error) {
			<-ctx.Done()
			return nil, fmt.Errorf("wait: %w", ctx.Err())
		}),
	}}
}

type callerResult struct {
	KeyID  string `out:"KeyId"`
	Region string `out:"Region"`
	Action string `out:"Action"`
	ID     string `out:"Id"`
	Remote string `out:"Remote"`
}

// syncBuffer is a log that may be written by many.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newTestHandler(t testing.TB, change ...func(*Options)) (*Handler, *syncBuffer) {
	t.Helper()
	log := &syncBuffer{}
	opts := Options{
		Mux:    NewMux(testProduct(), Product{Name: "Vpc", Version: "2016-04-28", Actions: []Action{NewAction("DescribeRegions", func(context.Context, *NoParams) (*Empty, error) { return nil, nil })}}),
		Keys:   fakeKeys{"testid": "testsecret", "disabledid": "x", "other": "othersecret"},
		HostID: "slb.example.net",
		Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now:    func() time.Time { return vectorTime },
	}
	for _, f := range change {
		f(&opts)
	}
	return NewHandler(opts), log
}

// answer is a reply, taken apart.
type answer struct {
	status            int
	header            http.Header
	body              string
	code, message, id string
}

func send(t testing.TB, h http.Handler, r *http.Request) answer {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	body, _ := io.ReadAll(w.Result().Body)
	a := answer{status: w.Code, header: w.Header(), body: string(body)}
	var e struct{ RequestId, HostId, Code, Message, Recommend string }
	var err error
	switch ct := a.header.Get("Content-Type"); ct {
	case "application/json;charset=utf-8":
		err = json.Unmarshal(body, &e)
	case "text/xml;charset=utf-8":
		if !strings.HasPrefix(a.body, `<?xml version="1.0" encoding="UTF-8"?><`) {
			t.Errorf("XML without declaration: %.60s", a.body)
		}
		err = xml.Unmarshal(body, &e)
	default:
		t.Errorf("Content-Type %q", ct)
	}
	if err != nil {
		t.Errorf("body is not well-formed: %v\n%.300s", err, a.body)
	}
	a.code, a.message, a.id = e.Code, e.Message, e.RequestId
	if !requestIDForm.MatchString(a.id) || a.id != a.header.Get("x-acs-request-id") {
		t.Errorf("request id %q in the body, %q in the header", a.id, a.header.Get("x-acs-request-id"))
	}
	if a.status != 200 && (a.code == "" || a.message == "" || e.HostId != "slb.example.net" ||
		!strings.HasPrefix(e.Recommend, "https://api.aliyun.com/troubleshoot?q="+a.code+"&product=") || !strings.HasSuffix(e.Recommend, "&requestId="+a.id)) {
		t.Errorf("error body incomplete: %s", a.body)
	}
	return a
}

var requestIDForm = regexp.MustCompile(`^[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$`)

// v1Request signs params and sends them by method: GET has them in the query,
// POST in the query, FORM in a form body, MIXED half here and half there.
func v1Request(method string, params url.Values) *http.Request {
	httpMethod := map[string]string{"GET": "GET", "POST": "POST", "FORM": "POST", "MIXED": "POST"}[method]
	SignV1(httpMethod, params, "testsecret")
	return rawRequest(method, params)
}

func rawRequest(method string, params url.Values) *http.Request {
	switch method {
	case "FORM":
		return formRequest("", params.Encode())
	case "MIXED":
		query, form := url.Values{}, url.Values{}
		for name, v := range params {
			if name == "LoadBalancerId" || name == "BackendServers" || name == "RegionId" {
				form[name] = v
			} else {
				query[name] = v
			}
		}
		return formRequest(query.Encode(), form.Encode())
	}
	return httptest.NewRequest(method, "/?"+params.Encode(), nil)
}

func formRequest(query, body string) *http.Request {
	r := httptest.NewRequest("POST", "/?"+query, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	return r
}

const vectorAnswerJSON = `{"LoadBalancerId":"lb-demo0001","BackendServers":{"BackendServer":[{"ServerId":"i-bp1demo0001","Weight":100,"Type":"ecs","Description":"web *~ a+b/ü"}]},"RequestId":"ID"}`

const vectorAnswerXML = `<?xml version="1.0" encoding="UTF-8"?><AddBackendServersResponse><LoadBalancerId>lb-demo0001</LoadBalancerId>` +
	`<BackendServers><BackendServer><ServerId>i-bp1demo0001</ServerId><Weight>100</Weight><Type>ecs</Type><Description>web *~ a+b/ü</Description></BackendServer></BackendServers>` +
	`<RequestId>ID</RequestId></AddBackendServersResponse>`

func TestWaysToSendOneCall(t *testing.T) {
	for _, method := range []string{"GET", "POST", "FORM", "MIXED"} {
		for _, signature := range []string{"HMAC-SHA1", "HMAC-SHA256", "Hmac-SHA1"} {
			for format, want := range map[string]string{"JSON": vectorAnswerJSON, "json": vectorAnswerJSON, "XML": vectorAnswerXML, "xMl": vectorAnswerXML, "": vectorAnswerXML} {
				t.Run(method+" "+signature+" "+format, func(t *testing.T) {
					h, _ := newTestHandler(t)
					params := with(vectorParams(), "SignatureMethod", signature, "Format", format, "SignatureType", "", "", "80", "Unknown", "x")
					a := send(t, h, v1Request(method, params))
					if got := strings.ReplaceAll(a.body, a.id, "ID"); a.status != 200 || got != want {
						t.Errorf("%d %s\nwant %s", a.status, got, want)
					}
				})
			}
		}
	}
}

func TestSpellings(t *testing.T) {
	for name, change := range map[string]func(url.Values, *http.Request) *http.Request{
		"TimeStamp": func(v url.Values, _ *http.Request) *http.Request {
			v.Del("Timestamp")
			return v1Request("POST", with(v, "TimeStamp", "2024-01-02T03:04:05Z"))
		},
		"Accept asks for JSON": func(v url.Values, _ *http.Request) *http.Request {
			v.Del("Format")
			r := v1Request("GET", v)
			r.Header.Set("Accept", "text/html;q=0.9, application/json")
			return r
		},
		"V1 with headers of V3": func(v url.Values, _ *http.Request) *http.Request {
			r := v1Request("POST", v)
			r.Header.Set("x-acs-action", "Wrong")
			r.Header.Set("x-acs-version", "1999-01-01")
			r.Header.Set("Authorization", "Basic dGVzdDp0ZXN0")
			return r
		},
		"same headers, form body": func(v url.Values, _ *http.Request) *http.Request {
			r := v1Request("FORM", v)
			r.Header.Set("x-acs-version", "1999-01-01")
			r.Header.Set("x-acs-signature-nonce", "x")
			return r
		},
		"empty path": func(v url.Values, _ *http.Request) *http.Request {
			r := v1Request("GET", v)
			r.URL.Path = ""
			return r
		},
		"a value of 64 KB": func(v url.Values, _ *http.Request) *http.Request {
			return v1Request("GET", with(v, "Padding", strings.Repeat("k", 64<<10)))
		},
		"a form of 1 MB": func(v url.Values, _ *http.Request) *http.Request {
			return v1Request("FORM", with(v, "Padding", strings.Repeat("k", 1_000_000)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := newTestHandler(t)
			a := send(t, h, change(vectorParams(), nil))
			if got := strings.ReplaceAll(a.body, a.id, "ID"); got != vectorAnswerJSON {
				t.Errorf("%d %.500s", a.status, got)
			}
		})
	}
}

func TestV3Calls(t *testing.T) {
	h, _ := newTestHandler(t)
	r := vectorD()
	SignV3(r, nil, "testid", "testsecret")
	a := send(t, h, r)
	if got := strings.ReplaceAll(a.body, a.id, "ID"); got != vectorAnswerJSON {
		t.Errorf("vector D: %d %s", a.status, got)
	}
	r = vectorE()
	r.Header.Del("x-acs-security-token")
	SignV3(r, []byte(vectorBodyE), "testid", "testsecret")
	if a = send(t, h, r); a.body != `{"RequestId":"`+a.id+`"}` {
		t.Errorf("form body: %d %s", a.status, a.body)
	}
	r = vectorD()
	r.Header.Set("x-acs-signature-nonce", "3")
	r.Header.Set("Accept", "application/xml")
	r.Header.Set("x-acs-credentials-provider", "static_ak")
	SignV3(r, nil, "testid", "testsecret")
	a = send(t, h, r)
	if got := strings.ReplaceAll(a.body, a.id, "ID"); got != vectorAnswerXML {
		t.Errorf("XML: %d %s", a.status, got)
	}
}

func TestCaller(t *testing.T) {
	h, _ := newTestHandler(t)
	r := v1Request("GET", with(vectorParams(), "Action", "DescribeRegions"))
	r.RemoteAddr = "127.0.0.1:4711"
	a := send(t, h, r)
	want := `{"KeyId":"testid","Region":"cn-hangzhou","Action":"DescribeRegions","Id":"` + a.id + `","Remote":"127.0.0.1:4711","RequestId":"` + a.id + `"}`
	if a.body != want {
		t.Errorf("%s\nwant %s", a.body, want)
	}
	if (CallerFrom(context.Background()) != Caller{}) {
		t.Error("a caller outside of a call")
	}
}

func TestHowCallsEnd(t *testing.T) {
	for action, want := range map[string]struct {
		status    int
		code, log string
	}{
		"Panic": {500, "InternalError", "spilled"},
		"Fail":  {500, "InternalError", "secret detail"},
		"Odd":   {500, "InternalError", "looks fine"},
		"Wait":  {503, "ServiceUnavailable", "deadline"},
	} {
		t.Run(action, func(t *testing.T) {
			h, log := newTestHandler(t, func(o *Options) { o.CallTimeout = time.Millisecond })
			a := send(t, h, v1Request("POST", with(vectorParams(), "Action", action)))
			if a.status != want.status || a.code != want.code || strings.Contains(a.body, want.log) {
				t.Errorf("%d %s", a.status, a.body)
			}
			if !strings.Contains(log.String(), want.log) || !strings.Contains(log.String(), "level=ERROR") {
				t.Errorf("log: %s", log)
			}
			if stack := strings.Contains(log.String(), "handler_test.go"); stack != (action == "Panic") {
				t.Errorf("stack in the log: %v", stack)
			}
		})
	}
}

func TestNothingOfTheParametersIsLogged(t *testing.T) {
	var info CallInfo
	h, log := newTestHandler(t, func(o *Options) { o.OnCall = func(c CallInfo) { info = c } })
	params := with(vectorParams(), "PrivateKey", "MIISECRET", "Action", "SetLoadBalancerName", "LoadBalancerName", "n")
	a := send(t, h, v1Request("POST", params))
	if a.status != 200 || info.Action != "SetLoadBalancerName" || info.AccessKeyID != "testid" || info.RequestID != a.id || info.Code != "" {
		t.Errorf("%d, observer saw %+v", a.status, info)
	}
	a = send(t, h, rawRequest("POST", with(params, "Signature", "wrong")))
	if a.code != "SignatureDoesNotMatch" || info.AccessKeyID != "" || info.Code != a.code || info.Product != "Slb" {
		t.Errorf("%s, observer saw %+v", a.code, info)
	}
	send(t, h, rawRequest("POST", with(params, "Action", "MIISECRET")))
	if info.Action != "" {
		t.Errorf("observer saw the made-up action %q", info.Action)
	}
	text := log.String()
	if strings.Contains(text, "MIISECRET") || strings.Contains(text, "lb-demo0001") {
		t.Errorf("parameters in the log:\n%s", text)
	}
	for _, want := range []string{"action=SetLoadBalancerName", "key=testid", "request=" + a.id[:0], "code=SignatureDoesNotMatch", "duration="} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in the log:\n%s", want, text)
		}
	}
}
