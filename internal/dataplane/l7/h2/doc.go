// Package h2 is the HTTP/2 core of the proxy: connections and their streams, as
// a state machine without sockets, goroutines and clocks. Bytes go in and come
// out as events; what is to be said goes in and comes out as bytes. The frames
// and the header compression are those of golang.org/x/net/http2.
//
// Message heads cross the border in the form of HTTP/1.1, which the rest of the
// proxy reads: what a client asks is judged, routed and rewritten by the same
// code whatever version it came in. Only what HTTP/2 adds is checked here (RFC
// 9113, 8): pseudo-header fields, lower case, fields that belong to a
// connection, and that a body is as long as its head says. Values that could
// not stand in an HTTP/1.1 head never get into one.
//
// A Conn is used by one goroutine at a time. Its Streams belong to the caller
// and can be used again after Release.
package h2
