package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"regexp"
	"slices"

	"github.com/openslb/openslb/internal/api"
	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/localca"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store/etcdkv"
)

// Check tells what is wrong with the settings as such, without a look at the
// host: all of it, each as a ConfigError.
func (c Config) Check() error {
	c = c.withDefaults()
	var errs []error
	refuse := func(setting, value string, err error) {
		if err != nil {
			errs = append(errs, &ConfigError{setting, value, err})
		}
	}
	if c.Data == "" {
		refuse("data", "", errors.New("want a directory for what the node keeps"))
	}
	refuse("listen", c.Listen, checkHostPort(c.Listen))
	refuse("region", c.Region, checkRegion(c.Region))
	for _, p := range c.InternetPool {
		refuse("internet-pool", p.String(), checkPool(p))
	}
	for _, p := range c.IntranetPool {
		refuse("intranet-pool", p.String(), checkPool(p))
	}
	for _, name := range c.ServerNames {
		refuse("server-name", name, localca.CheckName(name))
	}
	switch spec.SourceMode(c.SourceMode) {
	case "", spec.SourceProxy, spec.SourceTransparent, spec.SourceAuto:
	default:
		refuse("source-mode", c.SourceMode, errors.New("want proxy, transparent or auto"))
	}
	var of [2]netip.Addr
	for _, a := range c.ProbeSources {
		family := &of[0]
		if a.Is6() {
			family = &of[1]
		}
		if family.IsValid() {
			refuse("probe-source", a.String(), fmt.Errorf("it is of one family with %s, and probes come from one address", *family))
		}
		*family = a
	}
	for _, e := range c.StoreEndpoints {
		refuse("store-endpoints", e, etcdkv.CheckEndpoint(e))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Quotas)) {
		_, err := api.QuotasByName(map[string]int{name: c.Quotas[name]})
		refuse("quota", fmt.Sprintf("%s=%d", name, c.Quotas[name]), err)
	}
	setting, value, err := c.Trace.check()
	refuse(setting, value, err)
	return errors.Join(errs...)
}

// checkHostPort wants what a socket can listen at.
func checkHostPort(s string) error {
	const want = "; want host:port, such as 127.0.0.1:8680 or [::1]:8680, where 0.0.0.0 stands for all addresses and port 0 for a free one"
	_, port, err := net.SplitHostPort(s)
	if a, ok := errors.AsType[*net.AddrError](err); ok {
		return errors.New(a.Err + want)
	}
	if err == nil {
		_, err = net.DefaultResolver.LookupPort(context.Background(), "tcp", port)
	}
	if err != nil {
		return fmt.Errorf("%q is no port%s", port, want)
	}
	return nil
}

// region is what is safe as the name of a region, which becomes part of the
// identifiers of zones and of what clients sign.
var region = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

func checkRegion(s string) error {
	if !region.MatchString(s) {
		return fmt.Errorf("want letters, digits and hyphens, 64 at most, such as %s", DefaultRegion)
	}
	return nil
}

// checkPool wants a network whose addresses hosts can have.
func checkPool(p netip.Prefix) error {
	if !slb.IsHostAddress(p.Masked().Addr()) {
		return errors.New("no host has such addresses; want a network of this host's own")
	}
	return nil
}
