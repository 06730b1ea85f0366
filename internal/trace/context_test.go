package trace

import (
	"bytes"
	"context"
	"encoding/binary"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/propagation"
	oteltrace "go.opentelemetry.io/otel/trace"
)

const example = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestParse(t *testing.T) {
	for _, row := range []struct {
		name, text string
		ok         bool
		flags      byte
	}{
		{"sampled", example, true, Sampled},
		{"not sampled", example[:53] + "00", true, 0},
		{"random", example[:53] + "03", true, Sampled | Random},
		{"unknown flags", example[:53] + "fd", true, Sampled},
		{"later version", "cc" + example[2:], true, Sampled},
		{"later version with more", "cc" + example[2:] + "-what-the-future-brings", true, Sampled},
		{"later version, more without a dash", "cc" + example[2:] + ".what", false, 0},
		{"later version, a dash alone", "cc" + example[2:] + "-", true, Sampled},
		{"more than version 00 has", example + "-x", false, 0},
		{"version ff", "ff" + example[2:], false, 0},
		{"version of no digits", ".0" + example[2:], false, 0},
		{"version of one digit", example[1:], false, 0},
		{"upper case", strings.ToUpper(example), false, 0},
		{"trace of zeros", "00-" + strings.Repeat("0", 32) + example[35:], false, 0},
		{"span of zeros", example[:36] + strings.Repeat("0", 16) + "-01", false, 0},
		{"trace with another letter", strings.Replace(example, "af", "ag", 1), false, 0},
		{"span with another letter", strings.Replace(example, "ad6b", "ad6.", 1), false, 0},
		{"flags of no digits", example[:53] + ".1", false, 0},
		{"short flags", example[:54], false, 0},
		{"other separators", strings.ReplaceAll(example, "-", "_"), false, 0},
		{"one other separator", strings.Replace(example, "-b7", "_b7", 1), false, 0},
		{"nothing", "", false, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, ok := Parse([]byte(row.text))
			if ok != row.ok || ok && c.Flags != row.flags {
				t.Fatalf("%q is %+v, %v", row.text, c, ok)
			}
			if ok && (c.Span != 0xb7ad6b7169203331 || c.Trace[0] != 0x0a || c.Trace[15] != 0x9c) {
				t.Errorf("%q is %+v", row.text, c)
			}
		})
	}
}

// FuzzParse: what is taken for well formed is, written again, the same trace, and
// what OpenTelemetry's own reader takes is taken.
func FuzzParse(f *testing.F) {
	for _, s := range []string{example, "", "cc" + example[2:] + "-x", strings.ToUpper(example), strings.Repeat("0", Size), strings.Repeat("-", Size), example[:53] + "03", "01" + example[2:]} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, ok := Parse(b)
		other := oteltrace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": string(b)}))
		span := other.SpanID()
		if other.IsValid() && (!ok || other.TraceID() != c.Trace || binary.BigEndian.Uint64(span[:]) != c.Span || byte(other.TraceFlags()) != c.Flags) {
			t.Fatalf("%q is %+v, %v, and %+v to OpenTelemetry", b, c, ok, other)
		}
		if !ok {
			return
		}
		again := c.Append(nil)
		if len(again) != Size || !bytes.Equal(again[2:52], b[2:52]) {
			t.Fatalf("%q became %q", b, again)
		}
		if d, ok := Parse(again); !ok || d != c {
			t.Fatalf("%q became %+v, and %+v", b, c, d)
		}
		SetSpan(again, 0x0123456789abcdef)
		if d, ok := Parse(again); !ok || d.Span != 0x0123456789abcdef || d.Trace != c.Trace || d.Flags != c.Flags {
			t.Fatalf("%q with another span", again)
		}
	})
}
