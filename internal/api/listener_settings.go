package api

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

// The settings below serve create and set actions alike: a nil field leaves the
// value of the listener it is applied to, which is the default at creation.

// listenerSettings are common to all protocols.
type listenerSettings struct {
	aclSettings
	Bandwidth     *int           `param:"Bandwidth" range:"-1|1..5120" err:"InvalidParameter|400|The specified Bandwidth is invalid."`
	Description   *string        `param:"Description" maxlen:"256" pattern:"[\\p{L}\\p{N}/._-]+" form:"letters, digits, '/', '.', '_' and '-'"`
	MaxConnection *int           `param:"MaxConnection" range:"-1|0..100000000"` // undocumented; -1 and 0: no limit
	Scheduler     *slb.Scheduler `param:"Scheduler"`
	VServerGroup  *string        `param:"VServerGroupId"`
}

// apply changes l. A listener of an instance keeps its scheduler's family; a new
// one may have any.
func (p *listenerSettings) apply(l *slb.Listener, isNew bool) error {
	if err := p.aclSettings.apply(&l.ACL); err != nil {
		return err
	}
	if p.Scheduler != nil {
		if !p.Scheduler.Fits(l.Protocol) {
			return invalidBecause("Scheduler", fmt.Sprintf("%s is not for listeners of protocol %s.", *p.Scheduler, l.Protocol))
		}
		if !isNew && !l.Scheduler.CanBecome(*p.Scheduler) {
			return invalidBecause("Scheduler", fmt.Sprintf("The listener has %s, which cannot become %s.", l.Scheduler, *p.Scheduler))
		}
		l.Scheduler = *p.Scheduler
	}
	set(&l.Bandwidth, p.Bandwidth)
	set(&l.Description, p.Description)
	if p.MaxConnection != nil {
		l.MaxConnection = max(*p.MaxConnection, 0)
	}
	return nil
}

// set stores a value that was given.
func set[T any](into *T, value *T) {
	if value != nil {
		*into = *value
	}
}

// probeSettings are those of health checks on both layers.
type probeSettings struct {
	probeBasics
	thresholds
}

func (p *probeSettings) apply(h *slb.HealthCheck) error {
	p.thresholds.apply(h)
	return p.probeBasics.apply(h)
}

// thresholds are consecutive results that change the state of a server.
type thresholds struct {
	HealthyThreshold   *int `param:"HealthyThreshold" range:"2..10"`
	UnhealthyThreshold *int `param:"UnhealthyThreshold" range:"2..10"`
}

func (p *thresholds) apply(h *slb.HealthCheck) {
	set(&h.HealthyThreshold, p.HealthyThreshold)
	set(&h.UnhealthyThreshold, p.UnhealthyThreshold)
}

// probeBasics are the settings of a probe that every listener can have. The
// create actions spell the interval with a lower-case letter.
type probeBasics struct {
	ConnectPort *int                   `param:"HealthCheckConnectPort" range:"-520|0..65535"`
	Domain      *string                `param:"HealthCheckDomain" allowempty:"true" maxlen:"80" pattern:"\\$_ip|[A-Za-z0-9.-]+" form:"$_ip, or letters, digits, '.' and '-'"`
	HTTPCode    *string                `param:"HealthCheckHttpCode"` // comma list
	HTTPVersion *string                `param:"HealthCheckHttpVersion" pattern:"(HTTP/?)?1\\.[01]" form:"HTTP/1.0 or HTTP/1.1"`
	Interval    *time.Duration         `param:"HealthCheckInterval" alias:"healthCheckInterval" range:"1..50" unit:"s"`
	Method      *slb.HealthCheckMethod `param:"HealthCheckMethod"`
	URI         *string                `param:"HealthCheckURI" maxlen:"80" pattern:"/[!-~]*" form:"printable ASCII that begins with '/'"`
}

func (p *probeBasics) apply(h *slb.HealthCheck) error {
	if p.ConnectPort != nil {
		// 0 and -520 are the two ways of saying: the server's own port.
		h.ConnectPort = uint16(max(*p.ConnectPort, 0))
	}
	if p.HTTPCode != nil {
		codes, err := codeClasses(*p.HTTPCode)
		if err != nil {
			return err
		}
		h.HTTPCodes = codes
	}
	if p.HTTPVersion != nil {
		h.HTTPVersion = (*p.HTTPVersion)[len(*p.HTTPVersion)-len("1.x"):]
	}
	set(&h.Domain, p.Domain)
	set(&h.Interval, p.Interval)
	set(&h.Method, p.Method)
	set(&h.URI, p.URI)
	return nil
}

// codeClasses reads a comma list of status classes; the order is kept, since
// clients compare the answer with what they sent.
func codeClasses(text string) ([]string, error) {
	var out []string
	for item := range strings.SplitSeq(text, ",") {
		switch item = strings.ToLower(strings.TrimSpace(item)); item {
		case "http_2xx", "http_3xx", "http_4xx", "http_5xx":
			if !slices.Contains(out, item) {
				out = append(out, item)
			}
		default:
			return nil, invalid("HealthCheckHttpCode", text, "one or more of http_2xx, http_3xx, http_4xx and http_5xx with commas between")
		}
	}
	return out, nil
}

// checkBandwidth keeps the bandwidths of the listeners of an instance that is
// paid by bandwidth within that of the instance; l is given with its new value.
func checkBandwidth(tx *store.Tx, lb *slb.LoadBalancer, l *slb.Listener) error {
	if lb.InternetChargeType != slb.PayByBandwidth || lb.Bandwidth <= 0 || l.Bandwidth <= 0 {
		return nil
	}
	sum := l.Bandwidth
	for key, other := range tx.Listeners.Prefix(slb.ListenerPrefix(lb.ID)) {
		if key != l.Key() && other.Bandwidth > 0 {
			sum += other.Bandwidth
		}
	}
	if sum > lb.Bandwidth {
		return slb.ErrBandwidthExceeded.Because("With this one the listeners would reserve %d Mbit/s of %d.", sum, lb.Bandwidth)
	}
	return nil
}
