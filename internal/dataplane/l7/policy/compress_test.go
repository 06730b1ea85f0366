package policy

import (
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

func TestOffer(t *testing.T) {
	for _, c := range []struct {
		headers string // several joined by |
		want    bool
	}{
		{"", false}, {"gzip", true}, {" \tgzip\t ", true}, {"GZip;q=1.000", true}, {"gzip; Q=0.001", true}, {"x-gzip", true}, {"*", true}, {"br, gzip", true},
		{"br|gzip", true}, {"br|deflate", false}, {"*;q=0", false}, {"gzip;q=0", false}, {"gzip;q=0.000, *", false}, {"*;q=0, gzip", true},
		{"gzip;q=0.5, identity", false}, {"gzip;q=0.5, identity;q=0.5", true}, {"identity;q=0, gzip;q=0.1", true}, {"identity", false},
		{"gzip;q=", false}, {"gzip;q=1.001", false}, {"gzip;q=0.0001", false}, {"gzip;q=.5", false}, {"gzip;level=1", false}, {"gzip;q=0.5;x", false},
		{"gzip;q=1", true}, {"gzip;q=0|*", false}, {"*, gzip;q=0.x", true}, {"*, gzip;q=0.5.", true}, {"*, gzip;q=2", true},
		{"gzipped", false}, {"gzip/1", false}, {",,,gzip,", true}, {"gzip q=0", false},
	} {
		var o Offer
		for _, h := range strings.Split(c.headers, "|") {
			o.Add([]byte(h))
		}
		if got := o.Gzip(); got != c.want {
			t.Errorf("%q: %v, want %v", c.headers, got, c.want)
		}
	}
}

func TestCoding(t *testing.T) {
	s := NewSnapshot(nil, spec.Frontend{HTTP: &spec.HTTPOptions{Gzip: true}}, nil)
	off := NewSnapshot(nil, spec.Frontend{HTTP: &spec.HTTPOptions{}}, nil)
	good := Representation{Status: 200, Type: []byte("text/html"), Length: 1024}
	for _, c := range []struct {
		name string
		edit func(r *Representation)
		want Coding
	}{
		{"as it is", func(*Representation) {}, Gzip},
		{"unknown length", func(r *Representation) { r.Length = -1 }, Gzip},
		{"403", func(r *Representation) { r.Status = 403 }, Gzip},
		{"short", func(r *Representation) { r.Length = 1023 }, Identity},
		{"empty", func(r *Representation) { r.Length = 0 }, Identity},
		{"206", func(r *Representation) { r.Status = 206 }, Identity},
		{"302", func(r *Representation) { r.Status = 302 }, Identity},
		{"fixed", func(r *Representation) { r.Fixed = true }, Identity},
		{"no type", func(r *Representation) { r.Type = nil }, Identity},
	} {
		r := good
		c.edit(&r)
		if got := s.Coding(&r, true); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		want := c.want
		if want == Gzip {
			want = Varies
		}
		if got := s.Coding(&r, false); got != want {
			t.Errorf("%s, not offered: %v, want %v", c.name, got, want)
		}
		if got := off.Coding(&r, true); got != Identity {
			t.Errorf("%s, off: %v", c.name, got)
		}
	}
	for _, ty := range []string{"text/xml", "text/plain", "text/css", "application/javascript", "application/x-javascript", "application/rss+xml",
		"application/atom+xml", "application/xml", "text/html", "Text/HTML;charset=x", "APPLICATION/ATOM+XML", "text/css ; a"} {
		if !compressible([]byte(ty)) {
			t.Errorf("%s is not compressed", ty)
		}
	}
	for _, ty := range []string{"", ";", "text/htm", "text/html2", "image/svg+xml", "application/json", "text/event-stream", "application/octet-stream"} {
		if compressible([]byte(ty)) {
			t.Errorf("%s is compressed", ty)
		}
	}
	for value, want := range map[string]bool{"no-transform": true, "public, NO-Transform": true, "no-transform=1": false, "": false, "x-no-transform": false} {
		if NoTransform([]byte(value)) != want {
			t.Errorf("NoTransform(%q) is %v", value, !want)
		}
	}
}
