package policy

// nextCookie finds the next cookie in a Cookie header, from the given place on:
// its name and where its value is. start is -1 when there is none; next is where
// to look for another.
func nextCookie(header []byte, from int) (name []byte, start, end, next int) {
	for i := from; i < len(header); {
		for i < len(header) && (header[i] == ' ' || header[i] == '\t' || header[i] == ';') {
			i++
		}
		equals := -1
		next := i
		for ; next < len(header) && header[next] != ';'; next++ {
			if header[next] == '=' && equals < 0 {
				equals = next
			}
		}
		if equals >= 0 {
			end := next
			for end > equals+1 && (header[end-1] == ' ' || header[end-1] == '\t') {
				end--
			}
			return header[i:equals], equals + 1, end, next
		}
		i = next
	}
	return nil, -1, -1, len(header)
}

// cookieValue is nextCookie for the next of a name.
func cookieValue(header []byte, from int, name string) (start, end, next int) {
	for next = from; ; {
		var found []byte
		if found, start, end, next = nextCookie(header, next); start < 0 || string(found) == name {
			return start, end, next
		}
	}
}
