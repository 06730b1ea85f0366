package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/openslb/openslb/internal/client"
)

// The ports of the balancer under test; its address is its own, so that any
// port is free.
const (
	openslbHTTP  = 18080
	openslbEcho  = 18081
	openslbBulk  = 18082
	openslbUDP   = 18083
	openslbHTTPS = 18084

	openslbLogged  = 18085 // at an address of its own, too
	openslbServing = 18086 // at the same
	openslbSecured = 18087 // likewise
)

// startOpenSLB runs the real binary with a store of its own and sets it up
// through the API, as a user would.
func startOpenSLB(ctx context.Context, s settings, binary string, pool netip.Prefix, name, dir string, b backendAddrs) (*proxy, error) {
	path, err := filepath.Abs(binary)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("no binary (make build): %w", err)
	}
	ports, err := freePorts(s.net.proxy, netip.MustParseAddr("127.0.0.1"), 1)
	if err != nil {
		return nil, err
	}
	api := net.JoinHostPort("127.0.0.1", strconv.Itoa(int(ports[0])))
	p := &proxy{name: name, version: version(path, "version")}
	p.cmd = exec.CommandContext(ctx, path, "serve", "--dev", "--data", filepath.Join(dir, name),
		"--listen", api, "--internet-pool", pool.String(), "--log-level", "warn")
	profiled := s.profile != "" && name == "openslb"
	if profiled {
		p.cmd.Args = append(p.cmd.Args, "--profiling")
	}
	if err := launch(ctx, s, p, netip.MustParseAddrPort(api)); err != nil {
		return p, err
	}
	c := &setup{client: client.Client{Endpoint: "http://" + api, KeyID: "testid", Secret: "testsecret", Region: "cn-hangzhou",
		HTTP: &http.Client{Transport: &http.Transport{DialContext: s.net.proxy.dial}, Timeout: 30 * time.Second}}, hosts: b.Hosts, certificate: s.certificate}
	if profiled {
		p.profiler = &profiler{http: c.client.HTTP, url: c.client.Endpoint}
	}
	if err := c.balancers(ctx, p, b); err != nil {
		return p, fmt.Errorf("set up: %w; the node says: %s", err, p.log)
	}
	return p, nil
}

// setup drives one node through its API.
type setup struct {
	client client.Client
	hosts  []netip.Addr

	certificate *certificate
	uploaded    string // its id
}

func (c *setup) call(ctx context.Context, version, action string, params map[string]string, out any) error {
	cl := c.client
	cl.Version = version
	if err := cl.Do(ctx, action, params, out); err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	return nil
}

func (c *setup) slb(ctx context.Context, action string, params map[string]string, out any) error {
	return c.call(ctx, "2014-05-15", action, params, out)
}

// entry is a server of an instance.
type entry struct {
	ServerID string `json:"ServerId"`
	Weight   int
	Port     uint16 `json:",omitempty"`
}

// listener is what is asked of a listener; into is where its address goes.
type listener struct {
	kind    string
	port    int
	backend uint16
	into    *netip.AddrPort
}

// balancers makes an instance with five listeners over both backends, and another
// that logs requests, with rules on one of its listeners, and waits until every
// server is healthy on every listener.
func (c *setup) balancers(ctx context.Context, p *proxy, b backendAddrs) error {
	var entries []entry
	for i, h := range c.hosts {
		id := "i-bench" + strconv.Itoa(i+1)
		if err := c.call(ctx, "2026-11-01", "RegisterServer", map[string]string{"ServerId": id, "Address.1": h.String()}, nil); err != nil {
			return err
		}
		entries = append(entries, entry{ServerID: id, Weight: 100})
	}
	var uploaded struct {
		ServerCertificateID string `json:"ServerCertificateId"`
	}
	if err := c.slb(ctx, "UploadServerCertificate", map[string]string{"ServerCertificate": c.certificate.cert, "PrivateKey": c.certificate.key}, &uploaded); err != nil {
		return err
	}
	c.uploaded = uploaded.ServerCertificateID
	if _, err := c.balancer(ctx, entries, []listener{
		{"HTTP", openslbHTTP, b.HTTP, &p.http},
		{"HTTPS", openslbHTTPS, b.HTTP, &p.https},
		{"TCP", openslbEcho, b.Echo, &p.tcp},
		{"TCP", openslbBulk, b.Bulk, &p.bulk},
		{"UDP", openslbUDP, b.Echo, &p.udp},
	}); err != nil {
		return err
	}
	id, err := c.balancer(ctx, entries, []listener{
		{"HTTP", openslbLogged, b.HTTP, &p.logged},
		{"HTTP", openslbServing, b.HTTP, &p.serving},
		{"HTTPS", openslbSecured, b.HTTP, &p.servingTLS},
	})
	if err != nil {
		return err
	}
	if err := c.rules(ctx, id, entries, b.HTTP, openslbServing, openslbSecured); err != nil {
		return err
	}
	logs := fmt.Sprintf(`[{"LogProject":"bench","LogStore":"requests","LoadBalancerId":%q}]`, id)
	return c.slb(ctx, "SetAccessLogsDownloadAttribute", map[string]string{"LogsDownloadAttributes": logs}, nil)
}

// rules has requests to listeners of an instance forwarded by rules. Their group needs no wait: its servers are checked as the listener's are,
// and have their verdicts.
func (c *setup) rules(ctx context.Context, id string, entries []entry, port uint16, listeners ...int) error {
	grouped := slices.Clone(entries)
	for i := range grouped {
		grouped[i].Port = port
	}
	members, err := json.Marshal(grouped)
	if err != nil {
		return err
	}
	var group struct {
		VServerGroupID string `json:"VServerGroupId"`
	}
	if err := c.slb(ctx, "CreateVServerGroup", map[string]string{"LoadBalancerId": id, "VServerGroupName": "web", "BackendServers": string(members)}, &group); err != nil {
		return err
	}
	for part := range slices.Chunk(rules, 10) { // as many as a call takes
		var list []map[string]string
		for _, r := range part {
			list = append(list, map[string]string{"RuleName": r.host, "Domain": r.host, "Url": r.path, "VServerGroupId": group.VServerGroupID})
		}
		text, err := json.Marshal(list)
		if err != nil {
			return err
		}
		for _, l := range listeners {
			if err := c.slb(ctx, "CreateRules", map[string]string{"LoadBalancerId": id, "ListenerPort": strconv.Itoa(l), "RuleList": string(text)}, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// balancer makes one instance and gives its id.
func (c *setup) balancer(ctx context.Context, entries []entry, listeners []listener) (id string, err error) {
	var made struct {
		LoadBalancerID string `json:"LoadBalancerId"`
		Address        netip.Addr
	}
	if err := c.slb(ctx, "CreateLoadBalancer", map[string]string{"AddressType": "internet"}, &made); err != nil {
		return "", err
	}
	for _, l := range listeners {
		params := map[string]string{
			"LoadBalancerId": made.LoadBalancerID, "ListenerPort": strconv.Itoa(l.port),
			"BackendServerPort": strconv.Itoa(int(l.backend)), "Bandwidth": "-1",
		}
		switch l.kind {
		case "HTTPS":
			params["ServerCertificateId"], params["TLSCipherPolicy"] = c.uploaded, "tls_cipher_policy_1_2_strict_with_1_3"
			fallthrough
		case "HTTP":
			params["HealthCheck"], params["StickySession"], params["IdleTimeout"] = "on", "off", "60"
		case "UDP": // by silence it would take half a minute
			params["healthCheckReq"], params["healthCheckExp"] = "alive", "alive"
			params["healthCheckInterval"], params["HealthyThreshold"] = "1", "2"
		}
		if err := c.slb(ctx, "CreateLoadBalancer"+l.kind+"Listener", params, nil); err != nil {
			return "", err
		}
		start := map[string]string{"LoadBalancerId": made.LoadBalancerID, "ListenerPort": strconv.Itoa(l.port)}
		if err := c.slb(ctx, "StartLoadBalancerListener", start, nil); err != nil {
			return "", err
		}
		*l.into = netip.AddrPortFrom(made.Address, uint16(l.port))
	}
	text, err := json.Marshal(entries)
	if err != nil {
		return "", err
	}
	add := map[string]string{"LoadBalancerId": made.LoadBalancerID, "BackendServers": string(text)}
	if err := c.slb(ctx, "AddBackendServers", add, nil); err != nil {
		return "", err
	}
	return made.LoadBalancerID, c.healthy(ctx, made.LoadBalancerID, len(listeners)*len(entries))
}

// healthy waits until count rows of the health status are normal.
func (c *setup) healthy(ctx context.Context, id string, count int) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		var status struct {
			BackendServers struct {
				BackendServer []struct{ ServerHealthStatus string }
			}
		}
		if err := c.slb(ctx, "DescribeHealthStatus", map[string]string{"LoadBalancerId": id}, &status); err != nil {
			return err
		}
		normal := 0
		for _, s := range status.BackendServers.BackendServer {
			if s.ServerHealthStatus == "normal" {
				normal++
			}
		}
		if normal >= count {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("only %d of %d servers became healthy", normal, count)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
