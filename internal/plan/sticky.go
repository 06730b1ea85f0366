package plan

import (
	"cmp"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/slb"
)

// defaultCookieTimeout is for a listener that came without one, which the API
// does not let happen.
const defaultCookieTimeout = 86400 * time.Second

// unmarking has all listeners of an instance know of a cookie that one of them marks:
// clients send it to every port of the host, and behind a listener that keeps no
// sessions an application must not find the mark in it.
func unmarking(frontends []spec.Frontend) {
	cookie := ""
	each := func(fn func(o **spec.Sticky)) {
		for i := range frontends {
			if o := frontends[i].HTTP; o != nil && o.Redirect == nil {
				fn(&o.Sticky)
				for j := range o.Rules {
					fn(&o.Rules[j].Sticky)
				}
			}
		}
	}
	each(func(o **spec.Sticky) {
		if *o != nil && cookie == "" {
			cookie = (*o).Cookie
		}
	})
	if cookie == "" {
		return
	}
	each(func(o **spec.Sticky) {
		switch {
		case *o == nil:
			*o = &spec.Sticky{Mode: spec.StickyOff, Cookie: cookie}
		case (*o).Cookie == "":
			with := **o
			with.Cookie = cookie
			*o = &with
		}
	})
}

// sticky is the session stickiness of a listener or of a rule with settings of
// its own; nil when it is off and never had to do with a server's cookie.
func sticky(on slb.Switch, kind slb.StickySessionType, timeout time.Duration, cookie string) *spec.Sticky {
	switch {
	case on != slb.On && cookie == "":
		return nil
	case on != slb.On:
		return &spec.Sticky{Mode: spec.StickyOff, Cookie: cookie}
	case kind == slb.StickyServer:
		return &spec.Sticky{Mode: spec.StickyServer, Cookie: cookie}
	}
	return &spec.Sticky{Mode: spec.StickyInsert, Timeout: cmp.Or(timeout, defaultCookieTimeout), Cookie: cookie}
}
