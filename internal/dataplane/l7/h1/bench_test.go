package h1

import "testing"

const typical = "GET /some/path/to/a/page.html?with=query HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: en-US,en;q=0.5\r\n" +
	"Cookie: session=0123456789abcdef0123456789abcdef\r\nConnection: keep-alive\r\n\r\n"

func BenchmarkParseRequest(b *testing.B) {
	in := []byte(typical)
	out := make([]byte, 0, 4096)
	e := &RequestEdits{ForwardedFor: []byte("192.0.2.1"), Lines: []byte("SLB-ID: lb-1\r\n"), CountHops: true}
	var r Request
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		r.Reset()
		if done, err := r.Parse(in); !done || err != nil {
			b.Fatal(done, err)
		}
		out = r.AppendHead(out[:0], in, e)
	}
}

func BenchmarkParseResponse(b *testing.B) {
	in := []byte("HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 100\r\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\nConnection: keep-alive\r\nETag: \"abc\"\r\nAccept-Ranges: bytes\r\n\r\n")
	out := make([]byte, 0, 4096)
	e := &ResponseEdits{Lines: []byte("Server: OpenSLB\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n")}
	var r Response
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		r.Reset()
		if done, err := r.Parse(in, Asked{}); !done || err != nil {
			b.Fatal(done, err)
		}
		out = r.AppendHead(out[:0], in, e)
	}
}

// BenchmarkParseSmall is of a request and an answer as small as they come.
func BenchmarkParseSmall(b *testing.B) {
	in := []byte("GET /bench HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n")
	out := make([]byte, 0, 4096)
	request := &RequestEdits{ForwardedFor: []byte("192.0.2.1"), CountHops: true}
	response := &ResponseEdits{Lines: []byte("Server: OpenSLB\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n")}
	var r Request
	var a Response
	b.ReportAllocs()
	for b.Loop() {
		r.Reset()
		if done, err := r.Parse(in); !done || err != nil {
			b.Fatal(done, err)
		}
		out = r.AppendHead(out[:0], in, request)
		a.Reset()
		if done, err := a.Parse(answer, Asked{}); !done || err != nil {
			b.Fatal(done, err)
		}
		out = a.AppendHead(out[:0], answer, response)
	}
}
