package h1

// Limits of the chunked coding, per body.
const (
	maxChunkDigits = 15       // a size always fits an int64
	maxExtensions  = 16 << 10 // bytes of all chunk extensions
	maxTrailers    = 8 << 10  // bytes of the trailer section
)

// Chunked decodes a chunked body (RFC 9112 7.1). Extensions and trailers are
// checked for form and dropped: a trailer must not pose as a header behind the
// proxy. The zero value is at the start of a body.
type Chunked struct {
	// Keep has the trailer section collected in Trailers.
	Keep     bool
	Trailers []byte

	state  chunkState
	digits uint8
	ext    uint16 // bytes of extensions so far
	trail  uint16 // bytes of trailers so far
	left   int64  // of the current chunk
}

type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkExt
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	trailStart
	trailName
	trailValue
	trailLF
	chunkEndLF
	chunkDone
)

// Done tells whether the whole body has been decoded.
func (c *Chunked) Done() bool { return c.state == chunkDone }

// Decode takes coded bytes from src and writes body bytes to dst, which may be
// src itself, since decoding only shrinks. It returns how much it wrote and how
// much it used. It stops at the end of the body, so that what follows in src is
// left, or when one of the two is used up.
func (c *Chunked) Decode(dst, src []byte) (written, used int, err error) {
	for used < len(src) && c.state != chunkDone {
		if c.state == chunkData {
			n := min(int64(len(src)-used), c.left, int64(len(dst)-written))
			if n == 0 {
				return written, used, nil // no room
			}
			copy(dst[written:], src[used:used+int(n)])
			written += int(n)
			used += int(n)
			if c.left -= n; c.left == 0 {
				c.state = chunkDataCR
			}
			continue
		}
		if err := c.step(src[used]); err != nil {
			return written, used, err
		}
		used++
	}
	return written, used, nil
}

// step takes one byte that is not chunk data.
func (c *Chunked) step(b byte) error {
	switch c.state {
	case chunkSize:
		if d := hexDigit(b); d >= 0 {
			if c.digits == maxChunkDigits {
				return ErrChunkSize
			}
			c.left = c.left<<4 | int64(d)
			c.digits++
			return nil
		}
		switch {
		case c.digits == 0:
			return ErrChunkSize
		case b == '\r':
			c.state = chunkSizeLF
		case b == ';':
			c.state = chunkExt
		default:
			return ErrChunkSize
		}
	case chunkExt:
		if b == '\r' {
			c.state = chunkSizeLF
			return nil
		}
		if c.ext++; c.ext > maxExtensions || b < 0x20 && b != '\t' || b == 0x7f {
			return ErrChunkExt
		}
	case chunkSizeLF:
		if b != '\n' {
			return ErrBareCR
		}
		c.digits = 0
		if c.left > 0 {
			c.state = chunkData
		} else {
			c.state = trailStart
		}
	case chunkDataCR:
		if b != '\r' {
			return ErrChunkEnd
		}
		c.state = chunkDataLF
	case chunkDataLF:
		if b != '\n' {
			return ErrChunkEnd
		}
		c.state = chunkSize
	default:
		return c.trailer(b)
	}
	return nil
}

// trailer takes one byte behind the last chunk.
func (c *Chunked) trailer(b byte) error {
	if c.trail++; c.trail > maxTrailers {
		return ErrTrailer
	}
	if c.Keep {
		c.Trailers = append(c.Trailers, b)
	}
	switch c.state {
	case trailStart:
		switch {
		case b == '\r':
			c.state = chunkEndLF
		case tchar[b]:
			c.state = trailName
		default:
			return ErrTrailer
		}
	case trailName:
		switch {
		case b == ':':
			c.state = trailValue
		case !tchar[b]:
			return ErrTrailer
		}
	case trailValue:
		switch {
		case b == '\r':
			c.state = trailLF
		case b < 0x20 && b != '\t' || b == 0x7f:
			return ErrTrailer
		}
	case trailLF:
		if b != '\n' {
			return ErrTrailer
		}
		c.state = trailStart
	case chunkEndLF:
		if b != '\n' {
			return ErrTrailer
		}
		c.state = chunkDone
	}
	return nil
}

func hexDigit(b byte) int {
	switch {
	case '0' <= b && b <= '9':
		return int(b - '0')
	case 'a' <= b|0x20 && b|0x20 <= 'f':
		return int(b|0x20-'a') + 10
	}
	return -1
}

// Room that AppendChunkSize and the end of a chunk take at most.
const (
	ChunkHeadRoom = 18 // sixteen digits and CRLF
	ChunkTailRoom = 7  // CRLF and the last chunk
)

// LastChunk ends a chunked body.
const LastChunk = "0\r\n\r\n"

// PutChunkHead writes the size line of a chunk of n bytes so that it ends just
// before buf[at], and returns where it starts. There must be ChunkHeadRoom
// bytes in front of at.
func PutChunkHead(buf []byte, at, n int) int {
	const hex = "0123456789abcdef"
	buf[at-1], buf[at-2] = '\n', '\r'
	at -= 2
	for {
		at--
		buf[at] = hex[n&15]
		if n >>= 4; n == 0 {
			return at
		}
	}
}
