// Package h1 is the HTTP/1 core of the proxy: message heads, their rewriting
// and body framing, as pure functions on byte slices. There is no socket, clock
// or goroutine in it, so every driver shares one set of rules and the rules can
// be fuzzed alone.
//
// It follows RFC 9112 strictly. A message whose length two readers could
// understand differently is refused, never repaired: two framing fields, a
// repeated Content-Length, a Transfer-Encoding that is not exactly "chunked",
// a folded line, a bare CR or LF, white space before a colon, control bytes.
// What is passed on is written anew from what was understood.
//
// Parsers are resumable: Parse is called again with the same bytes plus more,
// and does not look at the settled part twice.
package h1
