package l7

import "strconv"

// reasons are the statuses the load balancer answers by itself.
var reasons = map[int]string{
	301: "Moved Permanently",
	302: "Found",
	303: "See Other",
	307: "Temporary Redirect",
	308: "Permanent Redirect",
	400: "Bad Request",
	404: "Not Found",
	405: "Method Not Allowed",
	408: "Request Timeout",
	414: "URI Too Long",
	500: "Internal Server Error",
	502: "Bad Gateway",
	503: "Service Unavailable",
	504: "Gateway Timeout",
	505: "HTTP Version Not Supported",
}

// page is the constant part of one of our answers.
type page struct{ line, fixed, body string }

var pages = func() map[int]page {
	all := map[int]page{}
	for code, reason := range reasons {
		title := strconv.Itoa(code) + " " + reason
		body := "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title +
			"</h1></center>\r\n<hr><center>OpenSLB</center>\r\n</body>\r\n</html>\r\n"
		all[code] = page{
			line:  "HTTP/1.1 " + title + "\r\n",
			fixed: "Content-Type: text/html\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n",
			body:  body,
		}
	}
	return all
}()

// answer is one of our own answers.
type answer struct {
	status    int
	location  []byte // of a redirect
	head      bool   // to HEAD: no body
	close     bool
	keepAlive bool // said to a client that must be told
}

// size is that of the answer's body.
func (a *answer) size() int {
	if a.head {
		return 0
	}
	if p, ok := pages[a.status]; ok {
		return len(p.body)
	}
	return len(pages[500].body)
}

// append writes the answer with the stamp lines.
func (a *answer) append(dst, stamp []byte) []byte {
	p, ok := pages[a.status]
	if !ok {
		p = pages[500]
	}
	dst = append(dst, p.line...)
	dst = append(dst, stamp...)
	dst = append(dst, p.fixed...)
	if len(a.location) > 0 {
		dst = append(dst, "Location: "...)
		dst = append(dst, a.location...)
		dst = append(dst, "\r\n"...)
	}
	if a.status == 405 {
		dst = append(dst, "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n"...)
	}
	switch {
	case a.close:
		dst = append(dst, "Connection: close\r\n"...)
	case a.keepAlive:
		dst = append(dst, "Connection: keep-alive\r\n"...)
	}
	dst = append(dst, "\r\n"...)
	if !a.head {
		dst = append(dst, p.body...)
	}
	return dst
}
