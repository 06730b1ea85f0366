package rpc

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// setter stores text in a field. A text that does not fit is *malformed.
type setter func(dst reflect.Value, text string) error

// checks are the conditions that tags put on a single value.
type checks struct {
	spans          []span
	minLen, maxLen int // characters; 0: no limit
	pattern        *regexp.Regexp
	form           string // the pattern in words
	lines          bool   // control characters are welcome
	enum           []string
	unit           time.Duration
}

var (
	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
	textMarshalerType   = reflect.TypeFor[encoding.TextMarshaler]()
	addrType            = reflect.TypeFor[netip.Addr]()
	durationType        = reflect.TypeFor[time.Duration]()
	timeType            = reflect.TypeFor[time.Time]()
)

// newSetter returns the way text gets into a field of type t, and the type's
// name for the documentation.
func newSetter(t reflect.Type, c checks) (setter, string, error) {
	if t.Kind() == reflect.Pointer {
		inner, name, err := newSetter(t.Elem(), c)
		if err != nil {
			return nil, "", err
		}
		elem := t.Elem()
		return func(dst reflect.Value, text string) error {
			p := reflect.New(elem)
			if err := inner(p.Elem(), text); err != nil {
				return err
			}
			dst.Set(p)
			return nil
		}, name, nil
	}
	text, number := t.Kind() == reflect.String, false
	var set setter
	var name string
	switch {
	case t == addrType:
		set, name = setAddr, "string"
	case t == durationType:
		if c.unit == 0 {
			return nil, "", errors.New(`time.Duration needs unit:"s" or unit:"ms"`)
		}
		set, name, number = durationSetter(c), "integer", true
	case reflect.PointerTo(t).Implements(textUnmarshalerType):
		set, name, text = textSetter(c), "string", true
	case text:
		set, name = stringSetter(c), "string"
	case t.Kind() == reflect.Bool:
		set, name = setBool, "boolean"
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Int64:
		set, name, number = intSetter(t.Bits(), c.spans), "integer", true
	case t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uint64:
		set, name, number = uintSetter(t.Bits(), c.spans), "integer", true
	default:
		return nil, "", fmt.Errorf("type %s cannot hold a parameter", t)
	}
	if c.spans != nil && !number {
		return nil, "", fmt.Errorf("range on type %s", t)
	}
	if (c.minLen != 0 || c.maxLen != 0 || c.pattern != nil) && !text {
		return nil, "", fmt.Errorf("minlen, maxlen or pattern on type %s", t)
	}
	if c.enum != nil && (t.Kind() != reflect.String || reflect.PointerTo(t).Implements(textUnmarshalerType)) {
		return nil, "", fmt.Errorf("enum on type %s, which is no plain string", t)
	}
	if c.unit != 0 && t != durationType {
		return nil, "", fmt.Errorf("unit on type %s", t)
	}
	return set, name, nil
}

// acceptable reports whether text satisfies the conditions on text. Control
// characters are for texts of several lines; in names they only deceive those who
// read them.
func (c *checks) acceptable(text string) bool {
	if !utf8.ValidString(text) || !c.lines && strings.ContainsFunc(text, unicode.IsControl) {
		return false
	}
	if c.minLen != 0 || c.maxLen != 0 {
		n := utf8.RuneCountInString(text)
		if n < c.minLen || c.maxLen != 0 && n > c.maxLen {
			return false
		}
	}
	return c.pattern == nil || c.pattern.MatchString(text)
}

func stringSetter(c checks) setter {
	bad := &malformed{c.mustText()}
	return func(dst reflect.Value, text string) error {
		if !c.acceptable(text) {
			return bad
		}
		if c.enum != nil {
			for _, v := range c.enum {
				if strings.EqualFold(v, text) {
					dst.SetString(v)
					return nil
				}
			}
			return bad
		}
		dst.SetString(text)
		return nil
	}
}

// textSetter leaves the parsing to the type. An error of the type's own that
// may be shown to the caller passes; any other means malformed, and may say what
// would not be.
func textSetter(c checks) setter {
	bad := &malformed{c.mustText()}
	other := &malformed{"of the documented form"}
	return func(dst reflect.Value, text string) error {
		if !c.acceptable(text) {
			return bad
		}
		if err := dst.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
			if shown, ok := errors.AsType[apiError](err); ok {
				return shown
			}
			if allowed := allowedTexts(err); allowed != nil {
				return &malformed{orList(allowed)}
			}
			return other
		}
		return nil
	}
}

var (
	errAddr = &malformed{"an IPv4 or IPv6 address"}
	errBool = &malformed{"true or false"}
)

// allowedTexts are what a type takes, as its error tells; nil if it does not.
func allowedTexts(err error) []string {
	if e, ok := errors.AsType[interface {
		error
		AllowedTexts() []string
	}](err); ok {
		return e.AllowedTexts()
	}
	return nil
}

// enumerated are the texts that type t takes if it is an enumeration, else nil. No
// enumeration has a text of a control character.
func enumerated(t reflect.Type) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if u, ok := reflect.New(t).Interface().(encoding.TextUnmarshaler); ok {
		return allowedTexts(u.UnmarshalText([]byte{0}))
	}
	return nil
}

// setAddr takes no zone: an address of the API means the same on every host. An
// IPv4 address in IPv6 notation is the IPv4 address, however it was written.
func setAddr(dst reflect.Value, text string) error {
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return errAddr
	}
	*dst.Addr().Interface().(*netip.Addr) = addr.Unmap()
	return nil
}

func setBool(dst reflect.Value, text string) error {
	switch {
	case strings.EqualFold(text, "true"):
		dst.SetBool(true)
	case strings.EqualFold(text, "false"):
		dst.SetBool(false)
	default:
		return errBool
	}
	return nil
}

func intSetter(bits int, spans []span) setter {
	if spans == nil && bits < 64 {
		spans = []span{{-1 << (bits - 1), 1<<(bits-1) - 1}}
	}
	bad := &malformed{mustSpans(spans)}
	return func(dst reflect.Value, text string) error {
		n, err := strconv.ParseInt(text, 10, bits)
		if err != nil || text[0] == '+' || !within(spans, n) {
			return bad
		}
		dst.SetInt(n)
		return nil
	}
}

func uintSetter(bits int, spans []span) setter {
	shown := spans
	if spans == nil {
		shown = []span{{0, math.MaxInt64}}
		if bits < 64 {
			shown[0].high = 1<<bits - 1
		}
	}
	bad := &malformed{mustSpans(shown)}
	return func(dst reflect.Value, text string) error {
		n, err := strconv.ParseUint(text, 10, bits)
		if err != nil || spans != nil && (n > math.MaxInt64 || !within(spans, int64(n))) {
			return bad
		}
		dst.SetUint(n)
		return nil
	}
}

func durationSetter(c checks) setter {
	limit := math.MaxInt64 / int64(c.unit)
	bad := &malformed{mustSpans(c.spans)}
	return func(dst reflect.Value, text string) error {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || text[0] == '+' || n > limit || n < -limit || !within(c.spans, n) {
			return bad
		}
		dst.SetInt(n * int64(c.unit))
		return nil
	}
}
