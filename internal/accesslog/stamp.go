package accesslog

import "time"

// stampFresh is how long the difference between a caller's clock and the time of
// day counts as found, which saves asking for the time with each line.
const stampFresh = int64(100 * time.Millisecond)

// Stamp renders times, most of which lie in the second of the one before.
type Stamp struct {
	offset int64 // of the time of day from the caller's clock
	found  int64 // when, on the caller's clock; 0: never
	second int64
	text   [len("2006-01-02T15:04:05")]byte
}

// Append appends a time as a JSON string, in UTC with milliseconds: that of now,
// which is a recent reading in nanoseconds of a clock that only runs forward, the
// same for all lines of a log.
func (s *Stamp) Append(dst []byte, now int64) []byte {
	if s.found == 0 || now-s.found > stampFresh || now < s.found {
		s.offset, s.found = time.Now().UnixNano()-now, now
	}
	t := now + s.offset
	if second := t / int64(time.Second); second != s.second {
		s.second = second
		time.Unix(second, 0).UTC().AppendFormat(s.text[:0], "2006-01-02T15:04:05")
	}
	ms := t % int64(time.Second) / int64(time.Millisecond)
	dst = append(dst, '"')
	dst = append(dst, s.text[:]...)
	return append(dst, '.', '0'+byte(ms/100), '0'+byte(ms/10%10), '0'+byte(ms%10), 'Z', '"')
}
