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
