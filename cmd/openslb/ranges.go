package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// A flag's tag range:"LEAST..MOST" bounds its value, both ends included. Help
// shows it.

// showRanges adds the ranges of all flags to their help.
func showRanges(k *kong.Kong) error {
	return kong.Visit(k.Model.Node, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok && flag.Tag.Has("range") {
			least, most, ok := strings.Cut(flag.Tag.Get("range"), "..")
			if !ok {
				return fmt.Errorf("--%s: malformed range", flag.Name)
			}
			flag.Help = strings.TrimSuffix(flag.Help, ".") + "; " + least + " to " + most + "."
		}
		return next(nil)
	})
}

// checkRanges refuses values outside the ranges of the command's flags.
func checkRanges(ctx *kong.Context) error {
	var errs []error
	for _, flag := range ctx.Selected().Flags {
		if !flag.Tag.Has("range") {
			continue
		}
		value := ctx.FlagValue(flag)
		least, most, _ := strings.Cut(flag.Tag.Get("range"), "..")
		within, err := between(value, least, most)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("--%s: range of the grammar: %w", flag.Name, err))
		case !within:
			errs = append(errs, fmt.Errorf("--%s %v: want %s to %s", flag.Name, value, least, most))
		}
	}
	return errors.Join(errs...)
}

func between(value any, least, most string) (bool, error) {
	switch v := value.(type) {
	case time.Duration:
		a, err := time.ParseDuration(least)
		b, err2 := time.ParseDuration(most)
		return a <= v && v <= b, errors.Join(err, err2)
	case int:
		a, err := strconv.Atoi(least)
		b, err2 := strconv.Atoi(most)
		return a <= v && v <= b, errors.Join(err, err2)
	}
	return false, fmt.Errorf("values of type %T have none", value)
}
