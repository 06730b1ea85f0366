package policy

// cookieValue finds the value of a cookie in a Cookie header, from the given
// place on. start is -1 when there is none; next is where to look for another
// of the same name.
func cookieValue(header []byte, from int, name string) (start, end, next int) {
	for i := from; i < len(header); {
		for i < len(header) && (header[i] == ' ' || header[i] == '\t' || header[i] == ';') {
			i++
		}
		end := i
		for end < len(header) && header[end] != ';' {
			end++
		}
		pair := header[i:end]
		if len(pair) > len(name) && pair[len(name)] == '=' && string(pair[:len(name)]) == name {
			start := i + len(name) + 1
			last := end
			for last > start && (header[last-1] == ' ' || header[last-1] == '\t') {
				last--
			}
			return start, last, end
		}
		i = end
	}
	return -1, -1, len(header)
}
