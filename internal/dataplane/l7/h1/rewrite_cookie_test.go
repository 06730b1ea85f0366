package h1

import "testing"

func TestMarkInSetCookie(t *testing.T) {
	for in, want := range map[string]string{
		"SID=x; Path=/":  "SID=M.x; Path=/",
		"SID=":           "SID=M.",
		"SID = x":        "SID = M.x",
		"SID=\"a;b\"":    "SID=\"M.a;b\"",
		"SIDE=x":         "SIDE=x",
		"sid=x":          "sid=x",
		"SID":            "SID",
		"a; SID=x":       "a; SID=x",
		"a=SID=x":        "a=SID=x",
		"=SID=x":         "=SID=x",
		"":               "",
		"SID=x=y; SID=z": "SID=M.x=y; SID=z",
	} {
		buf := []byte("HTTP/1.1 200 OK\r\nA: b\r\nSet-Cookie: " + in + "\r\nServer: s\r\nC: d\r\nContent-Length: 0\r\n\r\n")
		var r Response
		r.Reset()
		if done, err := r.Parse(buf, Asked{}); !done || err != nil {
			t.Fatal(done, err)
		}
		got := string(r.AppendHead(nil, buf, &ResponseEdits{Lines: []byte("L: m\r\n"), SetCookie: []byte("Set-Cookie: n\r\n"), MarkCookie: "SID", Mark: []byte("M.")}))
		if whole := "HTTP/1.1 200 OK\r\nA: b\r\nSet-Cookie: " + want + "\r\nC: d\r\nContent-Length: 0\r\nL: m\r\nSet-Cookie: n\r\n\r\n"; got != whole {
			t.Errorf("%q: %q, want %q", in, got, whole)
		}
	}
}

func TestCutFromCookie(t *testing.T) {
	for _, c := range []struct {
		in   string
		drop Mask
		cuts [4][2]int
		want string
	}{
		{"A: b\r\nCookie: abcdef\r\nC: d\r\n", 0, [4][2]int{{1, 3}}, "A: b\r\nCookie: adef\r\nC: d\r\n"},
		{"A: b\r\nCookie:  abcdef \r\nKeep-Alive: d\r\n", 0, [4][2]int{{0, 6}}, "A: b\r\nCookie:   \r\n"},
		{"Keep-Alive: b\r\ncookie: abcdef\r\nCookie: abcdef\r\n", 0, [4][2]int{{5, 6}}, "cookie: abcde\r\nCookie: abcdef\r\n"},
		{"Cookie: abcdef\r\n", Of(Cookie), [4][2]int{{1, 3}}, ""},
		{"Cookie: abcdef\r\n", 0, [4][2]int{}, "Cookie: abcdef\r\n"},
		{"A: b\r\nCookie: abcdefgh\r\nC: d\r\n", 0, [4][2]int{{0, 1}, {1, 2}, {4, 5}, {7, 8}}, "A: b\r\nCookie: cdfg\r\nC: d\r\n"},
		{"A: b\r\n", 0, [4][2]int{{1, 3}}, "A: b\r\n"},
	} {
		buf := []byte("GET / HTTP/1.1\r\nHost: h\r\n" + c.in + "\r\n")
		var r Request
		r.Reset()
		if done, err := r.Parse(buf); !done || err != nil {
			t.Fatal(done, err)
		}
		got := string(r.AppendHead(nil, buf, &RequestEdits{Drop: c.drop, CookieCuts: c.cuts}))
		if want := "GET / HTTP/1.1\r\nHost: h\r\n" + c.want + "\r\n"; got != want {
			t.Errorf("%q: %q, want %q", c.in, got, want)
		}
	}
}
