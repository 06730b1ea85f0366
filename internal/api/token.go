package api

import (
	"crypto/sha256"
	"encoding/base64"
)

// tokenSum is the length of the checksum in a token, in bytes.
const tokenSum = 8

// writeToken makes a NextToken of the last thing told of a list. It survives
// changes and restarts, and holds on every node that shares the store: the next
// page goes on behind that place, whatever stands there then.
func writeToken(list, last string) string {
	sum := sha256.Sum256([]byte(list + "\x00" + last))
	return base64.RawURLEncoding.EncodeToString(append(sum[:tokenSum], last...))
}

// readToken reads what writeToken wrote for the same list; no token is the
// beginning. One that was made up, cut short or given by another list is refused:
// it would lead to an empty page, which looks like the end of the list. The
// checksum is against mistakes, not a secret, as a token opens nothing that its
// caller could not ask for.
func readToken(list, token string) (last string, err error) {
	if token == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil && len(b) > tokenSum {
		last = string(b[tokenSum:])
		if writeToken(list, last) == token {
			return last, nil
		}
	}
	return "", invalid("NextToken", token, "absent, or the NextToken of the page before in the same list")
}
