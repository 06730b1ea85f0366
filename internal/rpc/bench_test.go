package rpc

import (
	"bytes"
	"context"
	"crypto/sha1"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
)

func vectorForm(b testing.TB) form {
	f, err := parseForm(nil, vectorParams().Encode(), 100)
	if err != nil {
		b.Fatal(err)
	}
	f.sort()
	return f
}

func BenchmarkSignV1(b *testing.B) {
	f := vectorForm(b)
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = appendStringToSignV1(buf[:0], "POST", f)
		signatureV1(sha1.New, buf, "testsecret")
	}
}

// nonces makes texts of one length that do not repeat.
func nonces() func() string {
	n := 0
	return func() string { n++; return fmt.Sprintf("6f2c1a34-%012d", n) }
}

// BenchmarkVerifyV1 parses, sorts and checks a signed query, as the handler does.
func BenchmarkVerifyV1(b *testing.B) {
	h, _ := newTestHandler(b)
	params := vectorParams()
	SignV1("POST", params, "testsecret")
	query := params.Encode()
	h.verifier.nonces = newNonceStore(1<<20, nil, vectorTime)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		f, err := parseForm(make(form, 0, 32), query, 2000)
		if err != nil {
			b.Fatal(err)
		}
		f.sort()
		if _, err := h.verifier.v1(ctx, "POST", f); err != nil && err != errNonceUsed {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyV3(b *testing.B) {
	h, _ := newTestHandler(b)
	r := vectorD()
	SignV3(r, nil, "testid", "testsecret")
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		f, err := parseForm(make(form, 0, 32), r.URL.RawQuery, 2000)
		if err != nil {
			b.Fatal(err)
		}
		f.sort()
		if _, err := h.verifier.v3(ctx, r, f, nil); err != nil && err != errNonceUsed {
			b.Fatal(err)
		}
	}
}

func BenchmarkNonce(b *testing.B) {
	s := newNonceStore(4_000_000, nil, vectorTime)
	next := nonces()
	at := vectorTime
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		// 10,000 calls a second.
		at := at.Add(time.Duration(i) * 100 * time.Microsecond)
		if err := s.use("testid", next(), at, at); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeParams(b *testing.B) {
	f := vectorForm(b)
	set, err := compileParams(reflect.TypeFor[addServersParams]())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		var p addServersParams
		if err := set.decode(reflect.ValueOf(&p).Elem(), f); err != nil {
			b.Fatal(err)
		}
	}
}

// page is an answer like a page of DescribeLoadBalancers with 10 rows.
func page() *serversResult {
	r := &serversResult{ID: "lb-2ze7o5h52g02kkzze7lru"}
	for i := range 10 {
		r.Servers = append(r.Servers, serverEntry{fmt.Sprintf("i-bp1demo%04d", i), 100, "ecs", "web server of the shop"})
	}
	return r
}

func benchmarkEncode(b *testing.B, json bool) {
	v := page()
	set, err := compileResult(reflect.TypeFor[serversResult](), true)
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 8192)
	b.ReportAllocs()
	for b.Loop() {
		if json {
			buf = appendJSONResult(buf[:0], set, reflect.ValueOf(v).Elem(), "34B82C81-F13B-4EEB-99F6-A048C67CC830")
		} else {
			buf = appendXMLResult(buf[:0], "AddBackendServers", set, reflect.ValueOf(v).Elem(), "34B82C81-F13B-4EEB-99F6-A048C67CC830")
		}
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkEncodeJSON(b *testing.B) { benchmarkEncode(b, true) }
func BenchmarkEncodeXML(b *testing.B)  { benchmarkEncode(b, false) }

// discard is a response writer that keeps nothing.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

// BenchmarkCall is one whole signed call without the network: read, verify,
// decode, act, encode. Each call has a nonce and a signature of its own; making
// them is not measured.
func BenchmarkCall(b *testing.B) {
	h, _ := newTestHandler(b, func(o *Options) {
		o.Logger = slog.New(slog.DiscardHandler)
		o.MaxNonces = 1 << 30
	})
	next := nonces()
	for _, v3 := range []bool{false, true} {
		b.Run(map[bool]string{false: "V1", true: "V3"}[v3], func(b *testing.B) {
			const batch = 4096
			requests := make([]*http.Request, batch)
			b.ReportAllocs()
			for i := 0; i < b.N; i++ {
				if i%batch == 0 {
					b.StopTimer()
					for j := range requests {
						requests[j] = benchRequest(v3, next())
					}
					b.StartTimer()
				}
				w := discard{header: http.Header{}}
				if h.ServeHTTP(&w, requests[i%batch]); w.status != 200 {
					b.Fatal(w.status)
				}
			}
		})
	}
}

func benchRequest(v3 bool, nonce string) *http.Request {
	if v3 {
		r := vectorD()
		r.Header.Set("x-acs-signature-nonce", nonce)
		SignV3(r, nil, "testid", "testsecret")
		return r
	}
	return v1Request("POST", with(vectorParams(), "SignatureNonce", nonce))
}

// BenchmarkHTTP is the same over a loopback connection with net/http at both
// ends, many clients at once.
func BenchmarkHTTP(b *testing.B) {
	h, _ := newTestHandler(b, func(o *Options) { o.Logger = slog.New(slog.DiscardHandler); o.Now = time.Now })
	server := httptest.NewServer(h)
	defer server.Close()
	b.ReportAllocs()
	b.SetParallelism(16)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	next := make(chan string, 1024)
	stop := make(chan struct{})
	go func() {
		for n := nonces(); ; {
			select {
			case next <- n():
			case <-stop:
				return
			}
		}
	}()
	defer close(stop)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			params := url.Values{"Action": {"DescribeRegions"}, "Version": {"2014-05-15"}, "Format": {"JSON"}, "AccessKeyId": {"testid"},
				"SignatureMethod": {"HMAC-SHA1"}, "SignatureVersion": {"1.0"}, "SignatureNonce": {<-next}, "Timestamp": {time.Now().UTC().Format(timeFormat)}}
			SignV1("POST", params, "testsecret")
			resp, err := client.Post(server.URL, "application/x-www-form-urlencoded", strings.NewReader(params.Encode()))
			if err != nil {
				b.Fatal(err)
			}
			var buf bytes.Buffer
			io.Copy(&buf, resp.Body)
			resp.Body.Close()
			if resp.StatusCode != 200 {
				b.Fatal(buf.String())
			}
		}
	})
}
