package etcdkv

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// endpoint is where a member of a cluster listens.
type endpoint struct {
	network, address string
	tls              bool
}

// CheckEndpoint tells what is wrong with an endpoint of DialConfig as such.
func CheckEndpoint(s string) error {
	_, err := parseEndpoint(s)
	return err
}

var errEndpoint = errors.New("want host:port, http://host:port, https://host:port or unix:///path")

func parseEndpoint(s string) (endpoint, error) {
	if path, ok := strings.CutPrefix(s, "unix://"); ok {
		if path == "" {
			return endpoint{}, errEndpoint
		}
		return endpoint{network: "unix", address: path}, nil
	}
	e := endpoint{network: "tcp", address: s}
	if strings.Contains(s, "://") {
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			return e, errEndpoint
		}
		e.address, e.tls = u.Host, u.Scheme == "https"
	}
	host, port, err := net.SplitHostPort(e.address)
	if err != nil || host == "" {
		return e, errEndpoint
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return e, fmt.Errorf("port %q: want a number from 1 to 65535", port)
	}
	return e, nil
}

// reach connects to the endpoints one after the other until one takes the
// connection. The client that comes after it would try for as long as it may and
// then know of no reason.
func reach(ctx context.Context, endpoints []string, conf *tls.Config, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var errs []error
	for i, s := range endpoints {
		e, err := parseEndpoint(s)
		if err == nil {
			// One that is silent leaves time for the others.
			share := time.Until(deadline(ctx)) / time.Duration(len(endpoints)-i)
			err = e.connect(ctx, conf, share)
		}
		if err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("etcd at %s: %w", s, err))
	}
	return errors.Join(errs...)
}

func deadline(ctx context.Context) time.Time { t, _ := ctx.Deadline(); return t }

func (e endpoint) connect(ctx context.Context, conf *tls.Config, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var c net.Conn
	var err error
	if e.tls {
		c, err = (&tls.Dialer{Config: conf}).DialContext(ctx, e.network, e.address)
	} else {
		c, err = new(net.Dialer).DialContext(ctx, e.network, e.address)
	}
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("no answer within %v", timeout.Round(time.Millisecond))
		}
		return err
	}
	return c.Close()
}
