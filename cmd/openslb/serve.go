package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/openslb/openslb/internal/node"
)

// serveCmd is the settings of a node, see node.Config for what they mean.
type serveCmd struct {
	Config string `help:"YAML file with these settings; keys are the names of the flags." placeholder:"FILE"`
	Data   string `help:"Directory of everything the node keeps. One node at a time." default:"${data}"`
	Listen string `help:"host:port of the API, plain HTTP and TLS alike. Port 0 takes a free one." default:"${listen}"`
	Dev    bool   `help:"Accept the fixed key pair testid/testsecret. For trying things out only."`
	Region string `help:"Name of the node's region." default:"${region}"`

	InternetPool []netip.Prefix `help:"Networks that balancers of type internet get addresses from." default:"${internetpool}"`
	IntranetPool []netip.Prefix `help:"Networks that balancers of type intranet get addresses from." default:"${intranetpool}"`
	Servers      string         `help:"YAML file of servers to put into the register at start." placeholder:"FILE"`
	ServerName   []string       `help:"Further host name or address that the API's TLS certificate is valid for." placeholder:"NAME"`
	Quota        map[string]int `help:"Limit of the API, several joined by semicolons; -1 is no limit, 0 the default. In the file: a section quotas. Names and defaults: ${quotas}." placeholder:"NAME=N"`

	SourceMode  string       `help:"Whose address servers of TCP and UDP listeners see: proxy is the node's, transparent the client's, which needs CAP_NET_ADMIN and servers that answer by way of the node; auto is transparent where the node has the right (${enum})." enum:"proxy,transparent,auto" default:"proxy"`
	ProbeSource []netip.Addr `help:"Address of this host that health probes come from, one for each of IPv4 and IPv6 at most." placeholder:"ADDR"`

	StoreEndpoints []string      `help:"Client URLs of an outside etcd; without them the node runs its own." placeholder:"URL"`
	SealKeyFile    string        `help:"File with the key that seals secrets; seal.key in the data directory when not given." placeholder:"FILE"`
	DrainTimeout   time.Duration `help:"How long requests under way may go on at shutdown." default:"10s" range:"0s..24h"`

	TakeOver        bool          `help:"Replace the node that uses the data directory, if there is one, without an interruption."`
	HandoverTimeout time.Duration `help:"How long a process that takes over may take; then this one goes on." default:"${handover}" range:"1s..1h"`
	HandoverDrain   time.Duration `help:"How long connections may go on in a process that was replaced." default:"1h" range:"0s..720h"`

	AccessLogDir  string        `help:"Directory of the access logs that SetAccessLogsDownloadAttribute switches on; logs/access in the data directory when not given." placeholder:"DIR"`
	ConnectionLog bool          `help:"Log each connection and flow of TCP and UDP listeners when it ends, to logs/connections in the data directory."`
	LogFileSize   int           `help:"Megabytes after which a file of the access and other logs is put aside." default:"100" range:"1..100000"`
	LogFilePeriod time.Duration `help:"Time after which such a file is put aside." default:"24h" range:"1m..8760h"`
	LogFileKeep   time.Duration `help:"How long files that were put aside are kept." default:"168h" range:"1m..87600h"`
	LogFileCount  int           `help:"How many files that were put aside are kept of one log." default:"100" range:"1..100000"`

	TraceEndpoint string  `help:"URL of an OpenTelemetry receiver that requests of HTTP and HTTPS listeners are recorded for as spans: http or https (/v1/traces without a path), grpc or grpcs. Off when not given." placeholder:"URL"`
	TraceRatio    float64 `help:"Share of the traces that begin here to be recorded, 0 to 1; those that come with a request are if its sender records them." default:"1"`
	TraceParents  string  `help:"Which clients decide by their traceparent whether a request is recorded: ${enum}; intranet: those of intranet instances. Requests of others begin traces here." enum:"all,intranet,none" default:"all"`
	TraceService  string  `help:"Name of the service that the spans are from." default:"${traceservice}"`

	Profiling bool `help:"Serve Go's profiles (go tool pprof) at /debug/pprof/ of the API port, to callers on this host."`

	LogFormat string `help:"auto is text on a terminal, JSON elsewhere (${enum})." enum:"auto,text,json" default:"auto"`
	LogLevel  string `help:"Least severe level to log (${enum})." enum:"debug,info,warn,error" default:"info"`

	fileQuotas map[string]int // of the configuration file
}

// BeforeResolve adds the configuration file as a source of settings.
func (c *serveCmd) BeforeResolve(ctx *kong.Context) error {
	path := c.Config // from the environment, if it was set there
	for _, p := range ctx.Path {
		if p.Flag != nil && p.Flag.Name == "config" {
			path = ctx.FlagValue(p.Flag).(string)
		}
	}
	if path == "" {
		return nil
	}
	f, err := loadConfigFile(path)
	if err != nil {
		return err
	}
	if err := f.Validate(ctx.Model); err != nil {
		return err
	}
	if c.fileQuotas, err = f.quotas(); err != nil {
		return err
	}
	ctx.AddResolver(f)
	return nil
}

// Validate implements kong's check of a command.
func (c *serveCmd) Validate() error {
	return c.settings().Check()
}

// settings are those of the node.
func (c *serveCmd) settings() node.Config {
	return node.Config{
		Data: c.Data, Listen: c.Listen, Dev: c.Dev, Region: c.Region,
		InternetPool: c.InternetPool, IntranetPool: c.IntranetPool,
		ServersFile: c.Servers, ServerNames: c.ServerName,
		Quotas:     c.allQuotas(),
		SourceMode: c.SourceMode, ProbeSources: c.ProbeSource,
		StoreEndpoints: c.StoreEndpoints, SealKeyFile: c.SealKeyFile,
		TakeOver: c.TakeOver, HandoverTimeout: c.HandoverTimeout,
		Logs: node.LogFiles{
			AccessDir: c.AccessLogDir, Connections: c.ConnectionLog, MaxSize: int64(c.LogFileSize) << 20, Period: c.LogFilePeriod, Keep: c.LogFileKeep, KeepFiles: c.LogFileCount,
		},
		Trace:     node.Tracing{Endpoint: c.TraceEndpoint, Ratio: c.TraceRatio, Parents: c.TraceParents, Service: c.TraceService},
		Profiling: c.Profiling,
		Version:   version(),
	}
}

// allQuotas are the quotas of the configuration file under those of the command
// line and the environment, which change the ones they name.
func (c *serveCmd) allQuotas() map[string]int {
	all := make(map[string]int)
	for _, from := range []map[string]int{c.fileQuotas, c.Quota} {
		for name, value := range from {
			all[strings.ToLower(name)] = value
		}
	}
	return all
}

func (c *serveCmd) Run(ctx context.Context, s streams) error {
	replace := make(chan os.Signal, 1)
	signal.Notify(replace, syscall.SIGUSR2)
	defer signal.Stop(replace)
	logger, err := newLogger(s.err, c.LogFormat, c.LogLevel)
	if err != nil {
		return err
	}
	settings := c.settings()
	settings.Logger = logger
	n, err := node.Start(ctx, settings)
	if err != nil {
		if ctx.Err() != nil { // asked to end while starting
			return nil
		}
		return err
	}
	printWelcome(s.out, n)
	fmt.Fprintf(s.out, "ready endpoint=%s data=%s\n", n.Endpoint(), filepath.Clean(c.Data))
	notify(logger, "READY=1", fmt.Sprintf("MAINPID=%d", os.Getpid()))

	for {
		select {
		case <-replace:
			startSuccessor(s, logger)
			continue
		case <-n.Replaced():
			return c.depart(ctx, n, logger)
		case <-ctx.Done():
			notify(logger, "STOPPING=1")
			logger.Info("shutting down; a second signal ends at once", "drain_timeout", c.DrainTimeout.String())
		case <-n.Failed():
		}
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.DrainTimeout)
		defer cancel()
		return n.Stop(drain)
	}
}
