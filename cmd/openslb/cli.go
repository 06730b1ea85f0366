package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/openslb/openslb/internal/node"
)

// cli is the grammar of the command line. Its tags are the one place where
// names, defaults and explanations of settings stand; the configuration file
// and the environment variables of serve follow from them.
type cli struct {
	Serve      serveCmd      `cmd:"" help:"Run a node: API, store and data plane."`
	Quickstart quickstartCmd `cmd:"" help:"See it work: a node, four sample servers and the main API calls, in some seconds."`
	Call       callCmd       `cmd:"" help:"Sign and send any action of the API and print the answer."`
	Server     serverCmd     `cmd:"" help:"Manage the register of servers."`
	Node       nodeCmd       `cmd:"" help:"Show what the node knows of itself."`
	Key        keyCmd        `cmd:"" help:"Manage access keys."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
	Help       helpCmd       `cmd:"" help:"Explain a command."`
}

// Validate implements kong's check of a command line.
func (*cli) Validate(ctx *kong.Context) error { return checkRanges(ctx) }

const description = "A self-hosted load balancer that speaks the API of Alibaba Cloud SLB (2014-05-15)."

// helpShown ends a parse that has printed help instead of finding a command.
type helpShown struct{}

// execute parses args and runs the command. A *usageError is a mistake in usage or
// configuration.
func execute(ctx context.Context, args []string, s streams) (err error) {
	switch {
	case len(args) == 0:
		args = []string{"--help"}
	case len(args) == 1 && args[0] == "--version": // often tried
		args = []string{"version"}
	}
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(helpShown); !ok {
				panic(r)
			}
		}
	}()
	parser, err := newParser(s)
	if err != nil {
		return fmt.Errorf("command line grammar: %w", err)
	}
	command, err := parser.Parse(args)
	if err != nil {
		return judge(err, command)
	}
	command.BindTo(ctx, (*context.Context)(nil))
	return judge(command.Run(s), command)
}

func newParser(s streams) (*kong.Kong, error) { return newParserFor(new(cli), s) }

// newParserFor makes a parser that fills grammar.
func newParserFor(grammar *cli, s streams) (*kong.Kong, error) {
	return kong.New(grammar,
		kong.Name("openslb"),
		kong.Description(description),
		kong.Writers(s.out, s.err),
		// Kong calls this after --help; ending the process is for main alone.
		kong.Exit(func(int) { panic(helpShown{}) }),
		kong.ConfigureHelp(kong.HelpOptions{NoExpandSubcommands: true, WrapUpperBound: 100}),
		kong.Vars{
			"data":         node.DefaultData(),
			"listen":       node.DefaultListen,
			"region":       node.DefaultRegion,
			"internetpool": node.DefaultInternetPool,
			"intranetpool": node.DefaultIntranetPool,
			"quotas":       node.QuotaHelp(),
			"traceservice": node.DefaultTraceService,
			"handover":     node.DefaultHandoverTimeout.String(),
		},
		kong.PostBuild(serveEnvironment),
		kong.PostBuild(showRanges),
	)
}

// serveEnvironment gives every flag of serve its environment variable. The
// other commands have few settings worth one, which their tags name.
func serveEnvironment(k *kong.Kong) error {
	for _, flag := range serveFlags(k.Model) {
		name := "OPENSLB_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		flag.Envs = append(flag.Envs, name)
		flag.Tag.Envs = append(flag.Tag.Envs, name)
	}
	return nil
}

func serveFlags(app *kong.Application) []*kong.Flag {
	var out []*kong.Flag
	for _, command := range app.Children {
		if command.Name != "serve" {
			continue
		}
		for _, flag := range command.Flags {
			if flag.Name != "help" {
				out = append(out, flag)
			}
		}
	}
	return out
}

type helpCmd struct {
	Command []string `arg:"" optional:"" help:"The command to explain."`
}

func (c *helpCmd) Run(ctx context.Context, s streams) error {
	return execute(ctx, append(c.Command, "--help"), s)
}

type versionCmd struct{}

func (versionCmd) Run(s streams) error {
	_, err := fmt.Fprintln(s.out, "openslb", version())
	return err
}

// release is set by the linker in released binaries.
var release string

// version is the release, or what the Go tool knows about the build.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}
