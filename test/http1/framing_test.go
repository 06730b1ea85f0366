package http1

import (
	"fmt"
	"strings"
)

// lengths are variations of Content-Length.
func lengths() []entry {
	e := func(name, why string, w want, body string, lines ...string) entry {
		return entry{"length: " + name, why, post(lines...) + body, w}
	}
	bad := func(name, why, value string) entry {
		return e(name, why, refused(400), "abcde", "Content-Length:"+value)
	}
	abc := passed(post("Content-Length: 3") + "abc")
	return []entry{
		e("plain", "9112 6.2", abc, "abc", "Content-Length: 3"),
		e("zero", "9112 6.2", passed(post("Content-Length: 0")), "", "Content-Length: 0"),
		e("none", "9112 6.3: no body, whatever the method", passed(post()), ""),
		e("none, and a request behind", "as above", passed(post(), fetch()), fetch()),
		e("leading zeros", "9110 8.6: digits; written anew", abc, "abc", "Content-Length: 0003"),
		e("space around", "white space is optional", abc, "abc", "Content-Length: \t 3 \t"),
		e("other case", "names have no case", abc, "abc", "cOnTeNt-LeNgTh: 3"),
		e("of a GET", "9110 9.3.1: no meaning, but an end", passed(fetch("Content-Length: 33")+hidden), "", "X: y").as(fetch("Content-Length: 33") + hidden),
		e("of a DELETE", "as above", passed(head("DELETE /p HTTP/1.1", "Host: a", "Content-Length: 33")+hidden), "").as(head("DELETE /p HTTP/1.1", "Host: a", "Content-Length: 33") + hidden),
		e("of an OPTIONS *", "as above", passed(head("OPTIONS * HTTP/1.1", "Host: a", "Content-Length: 33")+hidden), "").as(head("OPTIONS * HTTP/1.1", "Host: a", "Content-Length: 33") + hidden),
		e("of a 1.0 request", "as above", passedLast(head("POST /p HTTP/1.0", "Host: a", "Content-Length: 3", "Connection: close")+"abc"), "").as(head("POST /p HTTP/1.0", "Host: a", "Content-Length: 3") + "abc"),
		e("two", "9112 6.3: 400; the first here, the last there", refused(400), "abc", "Content-Length: 3", "Content-Length: 5"),
		e("two alike", "9112 6.3 allows to merge them; no honest client sends them", refused(400), "abc", "Content-Length: 3", "Content-Length: 3"),
		e("two, one zero", "the classic", refused(400), hidden, "Content-Length: 0", "Content-Length: 33"),
		e("three", "as above", refused(400), "abc", "Content-Length: 3", "X: y", "content-length: 3", "Content-length: 3"),
		bad("list", "9112 6.3: 400", " 3, 5"),
		bad("list of the same", "may be merged; no honest client sends it", " 3, 3"),
		bad("list, no spaces", "as above", " 3,3"),
		bad("list with an empty element", "as above", " 3,"),
		bad("comma first", "as above", " ,3"),
		bad("plus", "9110 8.6: digits", " +3"),
		bad("minus", "9110 8.6: digits", " -3"),
		bad("minus zero", "9110 8.6: digits", " -0"),
		bad("hex", "9110 8.6: digits", " 0x3"),
		bad("hex digits", "9110 8.6: digits", " a"),
		bad("binary", "9110 8.6: digits", " 0b11"),
		bad("exponent", "9110 8.6: digits", " 3e0"),
		bad("fraction", "9110 8.6: digits", " 3.0"),
		bad("thousands", "9110 8.6: digits", " 1_000"),
		bad("quoted", "9110 8.6: digits", ` "3"`),
		bad("empty", "9110 8.6: a digit at least", ""),
		bad("blank", "9110 8.6: a digit at least", "   "),
		bad("inner space", "9110 8.6: digits", " 3 3"),
		bad("inner tab", "9110 8.6: digits", " 3\t3"),
		bad("letters behind", "9110 8.6: digits; atoi stops there", " 3abc"),
		bad("semicolon", "9110 8.6: digits; atoi stops there", " 3;5"),
		bad("NUL behind", "9110 8.6: digits", " 3\x00"),
		bad("vertical tab before", "no white space to HTTP, yet to isspace", " \v3"),
		bad("form feed before", "as above", " \f3"),
		bad("no-break space", "as above, to Unicode", " \xc2\xa03"),
		bad("raw NEL", "as above, to Latin-1", " \x853"),
		bad("digits of another script", "9110 8.6: ASCII digits", " \xd9\xa3"),
		bad("2^31 with a sign", "9110 8.6: digits", " -2147483648"),
		bad("2^63", "an overflow somewhere", " 9223372036854775808"),
		bad("2^64", "0 to who wraps around", " 18446744073709551616"),
		bad("2^64+3", "3 to who wraps around", " 18446744073709551619"),
		bad("nineteen digits", "our limit is eighteen", " 1000000000000000000"),
		bad("a hundred digits", "as above", " "+strings.Repeat("9", 100)),
		bad("nineteen zeros and a digit", "as above", " "+strings.Repeat("0", 19)+"3"),
		e("2^32+3", "3 to who counts in 32 bits: the body goes on", unfinished(0), "abc", "Content-Length: 4294967299"),
		e("largest", "as above", unfinished(0), "abc", "Content-Length: 999999999999999999"),
		e("body too short", "9112 6.3: incomplete", unfinished(0), "ab", "Content-Length: 300"),
		e("space before colon", "9112 5.1: 400", refused(400), "abc", "Content-Length : 3"),
		e("folded", "9112 5.2: 400", refused(400), "abc", "Content-Length:", " 3"),
		e("folded on", "9112 5.2: 400", refused(400), "abc", "Content-Length: 3", " 3"),
		e("in a fold", "9112 5.2: 400", refused(400), hidden, "X: y", " Content-Length: 33"),
		e("behind a bare LF", "a header to some", refused(400), hidden, "X: y\nContent-Length: 33"),
		e("behind a bare CR", "a header to some", refused(400), hidden, "X: y\rContent-Length: 33"),
		e("underscore", "a CGI-like server reads it as Content-Length", refused(400), hidden, "Content_Length: 33"),
		e("underscore beside the right one", "as above", refused(400), "abc", "Content-Length: 3", "Content_Length: 0"),
		e("nominated", "Connection must not take it away", abc, "abc", "Connection: Content-Length", "Content-Length: 3"),
		e("body too long", "what is left is the next request: here none", want{status: 400, sees: abc.sees}, "abc\x00\x01", "Content-Length: 3"),
		e("body ends with CR LF", "old clients: 9112 2.2", abc, "abc\r\n", "Content-Length: 3"),
		e("body like a request", "a body is a body", passed(post("Content-Length: 33")+hidden), hidden, "Content-Length: 33"),
		e("body of a GET without length", "it is the next request", passed(fetch(), fetch()), "").as(fetch() + fetch()),
	}
}

// as replaces what is sent.
func (e entry) as(in string) entry {
	e.in = in
	return e
}

// codings are variations of Transfer-Encoding.
func codings() []entry {
	const body = "3\r\nabc\r\n0\r\n\r\n"
	e := func(name, why string, w want, lines ...string) entry {
		return entry{"coding: " + name, why, post(lines...) + body, w}
	}
	bad := func(name, why, value string) entry {
		return e(name, why, refused(400), "Transfer-Encoding:"+value)
	}
	abc := passed(post("Transfer-Encoding: chunked") + "abc")
	return []entry{
		e("chunked", "9112 7.1", abc, "Transfer-Encoding: chunked"),
		e("other case", "9112 7: no case", abc, "Transfer-Encoding: CHUNKED"),
		e("name in another case", "names have no case", abc, "tRANSFER-eNCODING: chunked"),
		e("space around", "white space is optional", abc, "Transfer-Encoding:\t chunked \t"),
		e("no space", "white space is optional", abc, "Transfer-Encoding:chunked"),
		e("of a GET", "no meaning, but an end", passed(fetch("Transfer-Encoding: chunked")+"abc"), "").as(fetch("Transfer-Encoding: chunked") + body),
		e("with Content-Length", "9112 6.1: the classic", refused(400), "Content-Length: 3", "Transfer-Encoding: chunked"),
		e("with Content-Length behind", "9112 6.1: the classic", refused(400), "Transfer-Encoding: chunked", "Content-Length: 3"),
		e("with Content-Length: 0", "9112 6.1", refused(400), "Transfer-Encoding: chunked", "Content-Length: 0"),
		e("with a malformed Content-Length", "9112 6.1", refused(400), "Transfer-Encoding: chunked", "Content-Length: x"),
		e("identity with Content-Length", "7230 took it away; 2616 readers go by the length", refused(400), "Transfer-Encoding: identity", "Content-Length: 13"),
		e("unknown with Content-Length", "9112 6.1: coding wins, if understood", refused(400), "Transfer-Encoding: x", "Content-Length: 13"),
		e("empty with Content-Length", "some ignore it, some do not", refused(400), "Transfer-Encoding:", "Content-Length: 13"),
		e("twice", "9112 6.1: chunked once", refused(400), "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
		e("second identity", "the last to one, the first to another", refused(400), "Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
		e("first identity", "as above", refused(400), "Transfer-Encoding: identity", "Transfer-Encoding: chunked"),
		e("second unknown", "as above", refused(400), "Transfer-Encoding: chunked", "Transfer-Encoding: cow"),
		e("second empty", "as above", refused(400), "Transfer-Encoding: chunked", "Transfer-Encoding:"),
		bad("empty", "9112 6.1: a coding at least", ""),
		bad("identity", "7230 took it away", " identity"),
		bad("gzip", "9112 6.3: chunked must be last", " gzip"),
		bad("gzip, chunked", "servers hardly know it", " gzip, chunked"),
		bad("chunked, gzip", "9112 6.3: 400", " chunked, gzip"),
		bad("chunked, identity", "first or last?", " chunked, identity"),
		bad("identity, chunked", "first or last?", " identity, chunked"),
		bad("chunked, chunked", "9112 6.1: must not", " chunked, chunked"),
		bad("comma behind", "an empty element", " chunked,"),
		bad("comma before", "an empty element", " ,chunked"),
		bad("parameter", "9112 7.1: chunked has none", " chunked;q=1"),
		bad("semicolon", "as above", " chunked;"),
		bad("xchunked", "another word that ends the same", " xchunked"),
		bad("chunkedx", "another word that begins the same", " chunkedx"),
		bad("chunk", "another word", " chunk"),
		bad("quoted", "no token", ` "chunked"`),
		bad("single quotes", "another token", " 'chunked'"),
		bad("two words", "no token", " x chunked"),
		bad("colon", "no token", " : chunked"),
		bad("vertical tab before", "no white space to HTTP, yet to isspace", " \vchunked"),
		bad("vertical tab behind", "as above", " chunked\v"),
		bad("form feed before", "as above", " \fchunked"),
		bad("NUL before", "never in a header", " \x00chunked"),
		bad("NUL behind", "never in a header", " chunked\x00"),
		bad("no-break space", "white space to Unicode", " \xc2\xa0chunked"),
		bad("long s", "an s to who folds by Unicode", " chunked\xc5\xbf"),
		bad("Kelvin sign", "a k to who folds by Unicode", " chun\xe2\x84\xaaed"),
		bad("bare CR before", "white space to some", " \rchunked"),
		bad("bare CR behind", "as above", " chunked\r"),
		bad("bare LF before", "a fold, or a line", "\n chunked"),
		e("folded", "9112 5.2: 400", refused(400), "Transfer-Encoding:", " chunked"),
		e("folded by tab", "9112 5.2: 400", refused(400), "Transfer-Encoding:", "\tchunked"),
		e("folded on", "9112 5.2: 400", refused(400), "Transfer-Encoding: chunked", " , identity"),
		e("in a fold", "9112 5.2: 400", refused(400), "X: y", " Transfer-Encoding: chunked"),
		e("behind a bare LF", "a header to some", refused(400), "X: y\nTransfer-Encoding: chunked"),
		e("behind a bare CR", "a header to some", refused(400), "X: y\rTransfer-Encoding: chunked"),
		e("space before colon", "9112 5.1: 400", refused(400), "Transfer-Encoding : chunked"),
		e("tab before colon", "9112 5.1: 400", refused(400), "Transfer-Encoding\t: chunked"),
		e("space before the name", "a fold", refused(400), " Transfer-Encoding: chunked"),
		e("vertical tab before the name", "no token", refused(400), "\vTransfer-Encoding: chunked"),
		e("NUL in the name", "no token", refused(400), "Transfer-Encoding\x00: chunked"),
		e("high byte before the name", "no token", refused(400), "\xffTransfer-Encoding: chunked"),
		e("underscore", "a CGI-like server reads it as Transfer-Encoding", refused(400), "Transfer_Encoding: chunked"),
		e("underscore beside a length", "as above", refused(400), "Content-Length: 13", "Transfer_Encoding: chunked"),
		e("space for the dash", "no token", refused(400), "Transfer Encoding: chunked"),
		e("nominated", "Connection must not take it away", abc, "Connection: Transfer-Encoding", "Transfer-Encoding: chunked"),
		{"coding: in 1.0", "9112 6.1: faulty framing", head("POST /p HTTP/1.0", "Host: a", "Transfer-Encoding: chunked") + body, refused(400)},
		{"coding: in 1.0 with keep-alive", "as above", head("POST /p HTTP/1.0", "Host: a", "Connection: keep-alive", "Transfer-Encoding: chunked") + body, refused(400)},
		{"coding: in 1.0 with a length", "as above", head("POST /p HTTP/1.0", "Host: a", "Content-Length: 3", "Transfer-Encoding: chunked") + body, refused(400)},
		unchanged("coding: Content-Encoding", "no framing", post("Content-Encoding: chunked", "Content-Length: 3")+"abc"),
	}
}

// chunks are variations of the chunked body.
func chunks() []entry {
	to := post("Transfer-Encoding: chunked")
	e := func(name, why, body string, w want) entry { return entry{"chunk: " + name, why, to + body, w} }
	good := func(name, why, body, decoded string) entry { return e(name, why, body, passed(to+decoded)) }
	bad := func(name, why, body string) entry { return e(name, why, body, refused(400)) }
	all := []entry{
		good("one", "9112 7.1", "3\r\nabc\r\n0\r\n\r\n", "abc"),
		good("none", "an empty body", "0\r\n\r\n", ""),
		good("several", "9112 7.1", "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", "abc"),
		good("leading zeros", "9112 7.1: digits; written anew", "0003\r\nabc\r\n0\r\n\r\n", "abc"),
		good("last of several zeros", "9112 7.1: the last chunk is one or more zeros", "3\r\nabc\r\n000\r\n\r\n", "abc"),
		good("capital digits", "9112 7.1", "A\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
		good("small digits", "9112 7.1", "a\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
		good("data like a chunk", "counted, not read", "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", "\r\n0\r\n\r\n"),
		good("data like a request", "counted, not read", "21\r\n"+hidden+"\r\n0\r\n\r\n", hidden),
		good("extension", "9112 7.1.1: to be ignored, and dropped", "3;a\r\nabc\r\n0\r\n\r\n", "abc"),
		good("extension with a value", "9112 7.1.1", "3;a=b\r\nabc\r\n0;c=d\r\n\r\n", "abc"),
		good("extension, quoted", "9112 7.1.1", "3;a=\"b;c\"\r\nabc\r\n0\r\n\r\n", "abc"),
		good("extension, empty", "no name, yet no doubt where it ends", "3;\r\nabc\r\n0\r\n\r\n", "abc"),
		good("extensions", "9112 7.1.1", "3;a;b=c;d\r\nabc\r\n0\r\n\r\n", "abc"),
		good("extension with spaces inside", "9112 7.1.1: bad white space", "3; a = b\r\nabc\r\n0\r\n\r\n", "abc"),
		good("extension like a size", "ignored whatever it says", "3;5\r\nabc\r\n0\r\n\r\n", "abc"),
		bad("extension with bare LF", "the line ends there to some: TERM.EXT", "3;a\nbc\r\nabc\r\n0\r\n\r\n"),
		bad("extension with bare CR", "as above: EXT.TERM", "3;a\rbc\r\nabc\r\n0\r\n\r\n"),
		bad("extension with NUL", "a control", "3;a\x00\r\nabc\r\n0\r\n\r\n"),
		bad("extension of the last, bare LF", "as above", "3\r\nabc\r\n0;a\n\r\n\r\n"),
		bad("extension, quoted line", "9110 5.6.4 has no lines in quotes", "3;a=\"\r\n\"\r\nabc\r\n0\r\n\r\n"),
		bad("extensions of 17 kB", "our limit for a body is 16 kB: amplification", "3;"+strings.Repeat("a", 17<<10)+"\r\nabc\r\n0\r\n\r\n"),
		bad("extensions of 17 kB in all", "as above", strings.Repeat("1;"+strings.Repeat("a", 1<<10)+"\r\na\r\n", 17)+"0\r\n\r\n"),
		bad("space before the extension", "9112 7.1.1 calls it bad; parsers split there or not", "3 ;a\r\nabc\r\n0\r\n\r\n"),
		bad("size then space", "9112 7.1: no white space", "3 \r\nabc\r\n0\r\n\r\n"),
		bad("size then tab", "9112 7.1: no white space", "3\t\r\nabc\r\n0\r\n\r\n"),
		bad("space then size", "9112 7.1: no white space", " 3\r\nabc\r\n0\r\n\r\n"),
		bad("tab then size", "9112 7.1: no white space", "\t3\r\nabc\r\n0\r\n\r\n"),
		bad("size with 0x", "9112 7.1: digits; strtol reads it", "0x3\r\nabc\r\n0\r\n\r\n"),
		bad("size with 0X", "as above", "0X3\r\nabc\r\n0\r\n\r\n"),
		bad("size with x", "as above", "x3\r\nabc\r\n0\r\n\r\n"),
		bad("size with plus", "9112 7.1: digits; strtol reads it", "+3\r\nabc\r\n0\r\n\r\n"),
		bad("size with minus", "9112 7.1: digits; strtol reads it", "-3\r\nabc\r\n0\r\n\r\n"),
		bad("size minus zero", "as above", "3\r\nabc\r\n-0\r\n\r\n"),
		bad("size with underscore", "some languages read it", "1_0\r\n0123456789abcdef\r\n0\r\n\r\n"),
		bad("size with a comma", "9112 7.1: digits", "3,3\r\nabc\r\n0\r\n\r\n"),
		bad("size with a point", "9112 7.1: digits", "3.0\r\nabc\r\n0\r\n\r\n"),
		bad("size with a letter beyond f", "9112 7.1: digits; strtol stops there", "3g\r\nabc\r\n0\r\n\r\n"),
		bad("size with NUL", "9112 7.1: digits", "3\x00\r\nabc\r\n0\r\n\r\n"),
		bad("size quoted", "9112 7.1: digits", "\"3\"\r\nabc\r\n0\r\n\r\n"),
		bad("size of digits of another script", "9112 7.1: ASCII digits", "\xd9\xa3\r\nabc\r\n0\r\n\r\n"),
		bad("size empty", "9112 7.1: a digit at least", "\r\nabc\r\n0\r\n\r\n"),
		bad("size empty with an extension", "as above", ";a\r\nabc\r\n0\r\n\r\n"),
		bad("size of 16 digits", "our limit is fifteen", "0000000000000003\r\nabc\r\n0\r\n\r\n"),
		bad("size 2^64", "0 to who wraps around", "10000000000000000\r\nabc\r\n0\r\n\r\n"),
		bad("size 2^64+3", "3 to who wraps around", "10000000000000003\r\nabc\r\n0\r\n\r\n"),
		bad("size 2^63", "negative to some", "8000000000000000\r\nabc\r\n0\r\n\r\n"),
		bad("size of all ones", "-1 to some", "ffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
		e("size 2^32+3", "3 to who counts in 32 bits: the chunk goes on", "100000003\r\nabc\r\n0\r\n\r\n", unfinished(0)),
		e("size of fifteen digits", "as above", "fffffffffffffff\r\nabc", unfinished(0)),
		bad("bare LF after the size", "9112 2.2 is about heads; parsers differ", "3\nabc\r\n0\r\n\r\n"),
		bad("bare CR after the size", "as above", "3\rabc\r\n0\r\n\r\n"),
		bad("CR CR LF after the size", "as above", "3\r\r\nabc\r\n0\r\n\r\n"),
		bad("LF after the last size", "as above", "3\r\nabc\r\n0\n\r\n"),
		bad("bare LF after the data", "as above", "3\r\nabc\n0\r\n\r\n"),
		bad("bare CR after the data", "as above", "3\r\nabc\r0\r\n\r\n"),
		bad("two bytes instead of CR LF", "some skip two bytes, whatever they are", "3\r\nabcXX0\r\n\r\n"),
		bad("X LF after the data", "some look for the LF alone", "3\r\nabcX\n0\r\n\r\n"),
		bad("LF LF after the data", "as above", "3\r\nabc\n\n0\r\n\r\n"),
		bad("CR X after the data", "some look for the CR alone", "3\r\nabc\rX0\r\n\r\n"),
		bad("CR X after the size", "as above", "3\rXabc\r\n0\r\n\r\n"),
		bad("nothing after the data", "9112 7.1: CR LF", "3\r\nabc0\r\n\r\n"),
		bad("data too long", "9112 7.1: CR LF after as many bytes", "2\r\nabc\r\n0\r\n\r\n"),
		bad("data too short", "as above", "5\r\nabc\r\n0\r\n\r\n"),
		bad("last too long", "the last chunk has no data", "3\r\nabc\r\n0\r\nx\r\n\r\n"),
		bad("bare LF at the end", "the body ends there to some", "3\r\nabc\r\n0\r\n\n"),
		bad("bare CR at the end", "as above", "3\r\nabc\r\n0\r\n\rX"),
		bad("no last chunk", "the sentinel is no size", "3\r\nabc\r\n"),
		e("cut after the data", "a body without an end is no body", "3\r\nabc\r\n", unfinished(0)),
		e("cut in the size", "as above", "3", unfinished(0)),
		e("cut before the end", "as above", "3\r\nabc\r\n0\r\n", unfinished(0)),
		good("a request behind", "it is the next one", "0\r\n\r\n", "").behind(fetch(), fetch()),
		good("an empty line behind", "forgiven", "0\r\n\r\n", "").behind("\r\n"),
	}
	for c := range 0x20 {
		if c == '\r' || c == '\n' || c == '\t' {
			continue
		}
		all = append(all, bad(fmt.Sprintf("extension with control %#02x", c), "no extension has one", "3;a"+string(rune(c))+"\r\nabc\r\n0\r\n\r\n"))
	}
	return all
}

// behind has more follow, which the server sees as these requests.
func (e entry) behind(in string, sees ...string) entry {
	e.in += in
	e.want.sees = append(append([]string(nil), e.want.sees...), sees...)
	return e
}

// trailers are variations of the trailer section. It is dropped: a trailer must
// not pose as a header.
func trailers() []entry {
	to := post("Transfer-Encoding: chunked")
	good := func(name, why, trailer string) entry {
		return entry{"trailer: " + name, why, to + "3\r\nabc\r\n0\r\n" + trailer + "\r\n", passed(to + "abc")}
	}
	bad := func(name, why, trailer string) entry {
		return entry{"trailer: " + name, why, to + "3\r\nabc\r\n0\r\n" + trailer + "\r\n", refused(400)}
	}
	return []entry{
		good("one", "9112 7.1.2: may be dropped", "X: y\r\n"),
		good("two", "9112 7.1.2", "X: y\r\nZ: w\r\n"),
		good("empty value", "9112 7.1.2", "X:\r\n"),
		good("Content-Length", "9110 6.5.1: never framing", "Content-Length: 33\r\n"),
		good("Transfer-Encoding", "9110 6.5.1: never framing", "Transfer-Encoding: chunked\r\n"),
		good("Host", "9110 6.5.1: never routing", "Host: b\r\n"),
		good("Authorization", "9110 6.5.1: never a header", "Authorization: x\r\n"),
		good("X-Forwarded-For", "must not pose as ours", "X-Forwarded-For: 1.2.3.4\r\n"),
		bad("fold", "9112 5.2", "X: y\r\n z\r\n"),
		bad("bare LF", "the line ends there to some", "X: y\nZ: w\r\n"),
		bad("bare LF at the end", "the body ends there to some", "X: y\n\r\n"),
		bad("bare CR", "as above", "X: y\rZ: w\r\n"),
		bad("no colon", "9112 5", "X\r\n"),
		bad("no name", "9112 5", ": y\r\n"),
		bad("space before colon", "9112 5.1", "X : y\r\n"),
		bad("NUL", "never in a header", "X: \x00\r\n"),
		bad("DEL", "never in a header", "X: \x7f\r\n"),
		bad("a request", "no header line", "GET /hidden HTTP/1.1\r\nHost: a\r\n"),
		bad("9 kB", "our limit is 8 kB", "X: "+strings.Repeat("y", 9<<10)+"\r\n"),
		bad("9 kB in lines", "as above", strings.Repeat("X: y\r\n", 1536)),
	}
}

// pipelines are several requests at once: 9112 9.3.2.
func pipelines() []entry {
	body := post("Content-Length: 3") + "abc"
	coded := post("Transfer-Encoding: chunked")
	return []entry{
		{"pipeline: two", "9112 9.3.2", fetch() + fetch(), passed(fetch(), fetch())},
		{"pipeline: ten", "9112 9.3.2", strings.Repeat(fetch(), 10), passed(strings.Split(strings.Repeat(fetch()+"|", 9)+fetch(), "|")...)},
		{"pipeline: bodies", "each ends where it says", body + coded + "3\r\nabc\r\n0\r\n\r\n" + body, passed(body, coded+"abc", body)},
		{"pipeline: an empty line between", "forgiven", fetch() + "\r\n" + fetch(), passed(fetch(), fetch())},
		{"pipeline: two empty lines between", "one is forgiven", fetch() + "\r\n\r\n" + fetch(), refused(400, fetch())},
		{"pipeline: malformed second", "the first is answered", fetch() + fetch("X : y"), refused(400, fetch())},
		{"pipeline: malformed third, bodies", "as above", body + body + post("Content-Length: x"), refused(400, body, body)},
		{"pipeline: behind close", "9112 9.6: nothing behind it counts", fetch("Connection: close") + hidden, passedLast(fetch())},
		{"pipeline: behind 1.0", "as above", head("GET /p HTTP/1.0", "Host: a") + hidden, passedLast(head("GET /p HTTP/1.0", "Host: a", "Connection: close"))},
		{"pipeline: behind a refusal", "9112 9.6: the connection is of no use then", fetch("X : y") + hidden, refused(400)},
		{"pipeline: behind a malformed body", "as above", coded + "zz\r\n" + hidden, refused(400)},
		{"pipeline: behind TRACE", "as above", head("TRACE / HTTP/1.1", "Host: a") + hidden, refused(405)},
		{"pipeline: garbage behind", "no request", fetch() + "\x00\x01\x02", refused(400, fetch())},
		{"pipeline: letters behind", "they become the next method", fetch() + "X", passed(fetch(), strings.Replace(sentinelSeen, "GET", "XGET", 1)).shifted()},
		{"pipeline: HEAD between", "its answer has no body", fetch() + head("HEAD /h HTTP/1.1", "Host: a") + fetch(), passed(fetch(), head("HEAD /h HTTP/1.1", "Host: a"), fetch())},
	}
}

// shifted is for an entry whose last request is made of the sentinel.
func (w want) shifted() want {
	w.last = true
	return w
}

// limits are heads at and beyond what is taken.
func limits() []entry {
	const k32 = 32 << 10
	target := func(n int) string { return "GET /" + strings.Repeat("u", n-1) + " HTTP/1.1" }
	// section is header lines of n bytes with the empty line left out.
	section := func(n int) string {
		const host, x = "Host: a\r\n", "X: \r\n"
		return host + "X: " + strings.Repeat("v", n-len(host)-len(x)) + "\r\n"
	}
	many := func(n int) []string {
		lines := []string{"GET /p HTTP/1.1", "Host: a"}
		for i := range n - 1 {
			lines = append(lines, fmt.Sprintf("X%d: y", i))
		}
		return lines
	}
	big := strings.Repeat("0123456789abcdef", 20<<10) // more than any buffer
	return []entry{
		unchanged("limit: target of 32 kB", "vendor: 414 above 32 kB", head(target(k32), "Host: a")),
		{"limit: target of 32 kB and a byte", "vendor: 414", head(target(k32+1), "Host: a"), refused(414)},
		{"limit: target of 100 kB", "vendor: 414", head(target(100<<10), "Host: a"), refused(414)},
		{"limit: query of 40 kB", "vendor: 414", head("GET /?"+strings.Repeat("q", 40<<10)+" HTTP/1.1", "Host: a"), refused(414)},
		{"limit: target without an end", "as above", "GET /" + strings.Repeat("u", 80<<10), refused(414)},
		unchanged("limit: headers of 32 kB", "vendor: 400 above 32 kB", "GET /p HTTP/1.1\r\n"+section(k32)+"\r\n"),
		{"limit: headers of 32 kB and a byte", "vendor: 400", "GET /p HTTP/1.1\r\n" + section(k32+1) + "\r\n", refused(400)},
		{"limit: header without an end", "as above", "GET /p HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("v", 80<<10), refused(400)},
		{"limit: name without an end", "our limit is 256", "GET /p HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("n", 80<<10), refused(400)},
		unchanged("limit: target and headers of 32 kB", "both at their limits", target(k32)+"\r\n"+section(k32)+"\r\n"),
		unchanged("limit: 512 header lines", "our limit", head(many(512)...)),
		{"limit: 513 header lines", "as above", head(many(513)...), refused(400)},
		{"limit: header lines without an end", "as above", "GET /p HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("a:\r\n", 20<<10), refused(400)},
		{"limit: method without an end", "32 letters", strings.Repeat("A", 80<<10), refused(400)},
		{"limit: version without an end", "ten bytes", "GET / HTTP/1." + strings.Repeat("1", 80<<10), refused(400)},
		unchanged("limit: host of 1 kB", "within the headers' limit", head("GET / HTTP/1.1", "Host: "+strings.Repeat("h", 1024))),
		{"limit: 64 connection options", "our limit: each is looked for among all headers", fetch("Connection: "+strings.Repeat("a,", 63)+"b", "B: c"), passed(fetch())},
		{"limit: 65 connection options", "as above", fetch("Connection: " + strings.Repeat("a,", 64) + "b"), refused(400)},
		{"limit: 65 connection options in lines", "as above", fetch(strings.Split(strings.Repeat("Connection: a|", 64)+"Connection: b", "|")...), refused(400)},
		unchanged("limit: body beyond all buffers", "none is collected", post(fmt.Sprintf("Content-Length: %d", len(big)))+big),
		{"limit: chunk beyond all buffers", "none is collected", post("Transfer-Encoding: chunked") + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(big), big), passed(post("Transfer-Encoding: chunked") + big)},
		{"limit: 20,000 chunks", "each of a byte", post("Transfer-Encoding: chunked") + strings.Repeat("1\r\na\r\n", 20000) + "0\r\n\r\n", passed(post("Transfer-Encoding: chunked") + strings.Repeat("a", 20000))},
		unchanged("limit: head and body in full", "the largest head there is, and a body", "POST"+target(k32)[3:]+"\r\n"+section(k32-19)+"Content-Length: 3\r\n\r\nabc"),
	}
}
