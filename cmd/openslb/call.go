package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
)

type callCmd struct {
	connection `embed:""`
	Action     string   `arg:"" help:"Name of the action, for example DescribeLoadBalancers."`
	Params     []string `arg:"" optional:"" sep:"none" name:"Name=value" help:"Parameters. Name=@file takes the value from a file, Name=@- from standard input, Name=@@x is the value @x."`

	Signature  string `help:"Signature to use (${enum})." enum:"v1,v1-sha256,v3" default:"v1"`
	Format     string `help:"Format of the answer (${enum})." enum:"json,xml" default:"json"`
	Method     string `help:"HTTP method (${enum})." enum:"GET,POST" default:"POST"`
	Product    string `help:"Product of the action, when its name does not tell: Slb, OpenSLB, Sts, Location, Vpc, Ecs." placeholder:"NAME"`
	APIVersion string `help:"Version of the product's API, for one that OpenSLB does not know." name:"version" placeholder:"DATE"`
	Raw        bool   `help:"Print the answer as it came, also on a terminal."`
}

func (c *callCmd) Run(ctx context.Context, s streams) error {
	params, err := readParams(c.Params, s.in)
	if err != nil {
		return err
	}
	t, err := c.resolve()
	if err != nil {
		return err
	}
	api, err := t.client(c.Action)
	if err != nil {
		return err
	}
	api.Signature, api.Format, api.Method = c.Signature, strings.ToUpper(c.Format), c.Method
	switch {
	case c.APIVersion != "":
		api.Version = c.APIVersion
	case c.Product != "":
		if api.Version, err = versionOfProduct(c.Product); err != nil {
			return err
		}
	}
	body, err := api.Call(ctx, c.Action, params)
	if err != nil {
		return t.explain(err)
	}
	if c.Format == "json" && isTerminal(s.out) && !c.Raw {
		body = formatJSON(body, terminalWidth(s.out))
	}
	return writeLine(s.out, body)
}

// writeLine writes text with exactly one line end behind it.
func writeLine(w io.Writer, text []byte) error {
	_, err := fmt.Fprintf(w, "%s\n", bytes.TrimRight(text, "\n"))
	return err
}

// readParams turns Name=value words into parameters, with files read in.
func readParams(words []string, stdin io.Reader) (map[string]string, error) {
	params := make(map[string]string, len(words))
	for _, word := range words {
		name, value, ok := strings.Cut(word, "=")
		if !ok || name == "" {
			return nil, mistakef("parameter %q is not of the form Name=value", word)
		}
		if _, twice := params[name]; twice {
			return nil, mistakef("parameter %s is given twice", name)
		}
		value, err := readValue(value, stdin)
		if err != nil {
			return nil, mistakef("parameter %s: %w", name, err)
		}
		params[name] = value
	}
	return params, nil
}

func readValue(value string, stdin io.Reader) (string, error) {
	file, isFile := strings.CutPrefix(value, "@")
	if !isFile || strings.HasPrefix(file, "@") {
		return file, nil
	}
	if file == "-" {
		text, err := io.ReadAll(stdin)
		return string(text), err
	}
	text, err := os.ReadFile(file)
	return string(text), err
}
