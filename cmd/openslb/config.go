package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
)

// configFile is a configuration file as a source of flags: its keys are the
// names of the flags of serve. It stands above the defaults and below the
// environment and the command line.
type configFile struct {
	path string
	k    *koanf.Koanf
}

// loadConfigFile reads a YAML file.
func loadConfigFile(path string) (*configFile, error) {
	k := koanf.New(".")
	if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
		return nil, fmt.Errorf("--config %s: %w", path, err)
	}
	return &configFile{path: path, k: k}, nil
}

// Validate refuses keys that are no setting: a misspelt one would otherwise be
// passed over in silence.
func (c *configFile) Validate(app *kong.Application) error {
	var known []string
	for _, flag := range serveFlags(app) {
		// Quotas have a section of their own, whose names are checked with those of
		// the command line.
		if flag.Name != "config" && flag.Name != "quota" {
			known = append(known, flag.Name)
		}
	}
	for _, key := range c.k.Keys() {
		if !slices.Contains(known, key) && !strings.HasPrefix(key, quotaSection+".") {
			return fmt.Errorf("--config %s: unknown key %q; the keys are %s, and the section %s", c.path, key, strings.Join(known, ", "), quotaSection)
		}
	}
	return nil
}

// Resolve gives a flag its value from the file, if the file has one and no
// environment variable stands above it.
func (c *configFile) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if !c.k.Exists(flag.Name) {
		return nil, nil
	}
	for _, env := range flag.Envs {
		if _, ok := os.LookupEnv(env); ok {
			return nil, nil
		}
	}
	return flagText(c.k.Get(flag.Name)), nil
}

// quotaSection is the one section of a configuration file.
const quotaSection = "quotas"

// quotas are the quotas of the file by name.
func (c *configFile) quotas() (map[string]int, error) {
	out := make(map[string]int)
	for _, name := range c.k.MapKeys(quotaSection) {
		n, err := strconv.Atoi(fmt.Sprint(c.k.Get(quotaSection + "." + name)))
		if err != nil {
			return nil, fmt.Errorf("--config %s: quota %s is no number", c.path, name)
		}
		out[name] = n
	}
	return out, nil
}

// flagText turns a YAML value into what would be typed on the command line, so
// that both go through one parser: a list is its elements joined by commas.
func flagText(v any) string {
	list, ok := v.([]any)
	if !ok {
		if v == nil {
			return ""
		}
		return fmt.Sprint(v)
	}
	parts := make([]string, len(list))
	for i, e := range list {
		parts[i] = fmt.Sprint(e)
	}
	return strings.Join(parts, ",")
}
