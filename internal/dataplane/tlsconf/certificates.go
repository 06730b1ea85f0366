package tlsconf

import (
	"crypto/tls"
	"fmt"
	"strings"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// certificates are those of one frontend by host name. They are immutable.
type certificates struct {
	fallback *tls.Certificate
	exact    map[string]*tls.Certificate // by lower-case name
	below    map[string]*tls.Certificate // of *.name, by lower-case name
}

// certificates opens the keys of a frontend.
func (b *Builder) certificates(o *spec.TLSOptions) (*certificates, error) {
	byID := make(map[string]*tls.Certificate, len(o.Certificates))
	for i := range o.Certificates {
		c := &o.Certificates[i]
		key, err := b.unseal(c.ID, c.SealedKey)
		if err != nil {
			return nil, fmt.Errorf("private key of certificate %s: %w", c.ID, err)
		}
		pair, err := tls.X509KeyPair([]byte(c.Chain), key)
		clear(key)
		if err != nil {
			return nil, fmt.Errorf("certificate %s: %w", c.ID, err)
		}
		byID[c.ID] = &pair
	}
	missing := func(id string) error { return fmt.Errorf("certificate %s is not part of the configuration", id) }
	out := &certificates{
		fallback: byID[o.Default],
		exact:    make(map[string]*tls.Certificate),
		below:    make(map[string]*tls.Certificate),
	}
	if out.fallback == nil {
		return nil, missing(o.Default)
	}
	for _, d := range o.Domains {
		c := byID[d.Certificate]
		if c == nil {
			return nil, missing(d.Certificate)
		}
		if name, ok := strings.CutPrefix(strings.ToLower(d.Domain), "*."); ok {
			out.below[name] = c
		} else {
			out.exact[name] = c
		}
	}
	return out, nil
}

func (c *certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.pick(hello.ServerName), nil
}

// pick finds the certificate for a host name as a client spells it: the name's
// own, else that of the narrowest wildcard, which covers any number of labels,
// else the default. Source: the vendor's pages on additional domains.
func (c *certificates) pick(name string) *tls.Certificate {
	if len(c.exact) == 0 && len(c.below) == 0 {
		return c.fallback
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if found := c.exact[name]; found != nil {
		return found
	}
	for {
		_, parent, ok := strings.Cut(name, ".")
		if !ok {
			return c.fallback
		}
		if found := c.below[parent]; found != nil {
			return found
		}
		name = parent
	}
}
