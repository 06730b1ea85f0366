package rpc

const upperHex = "0123456789ABCDEF"

// plain marks the bytes that the signatures leave as they are: letters, digits
// and - _ . ~ (RFC 3986). A blank becomes %20 and * becomes %2A, other than in
// forms.
var plain = func() (t [256]bool) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~" {
		t[c] = true
	}
	return t
}()

// appendEncoded appends s percent-encoded.
func appendEncoded(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; plain[c] {
			b = append(b, c)
		} else {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return b
}

// appendEncodedTwice appends s percent-encoded two times, as V1 wants the names
// and values inside its already encoded query.
func appendEncodedTwice(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; plain[c] {
			b = append(b, c)
		} else {
			b = append(b, '%', '2', '5', upperHex[c>>4], upperHex[c&15])
		}
	}
	return b
}
