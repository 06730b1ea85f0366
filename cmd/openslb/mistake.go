package main

import (
	"errors"
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/openslb/openslb/internal/node"
)

// mistake is one in usage or configuration that shows only when the command
// runs, as against those that the grammar finds.
type mistake struct{ err error }

func (m *mistake) Error() string { return m.err.Error() }
func (m *mistake) Unwrap() error { return m.err }

func mistakef(format string, args ...any) error { return &mistake{fmt.Errorf(format, args...)} }

// usageError is any such error, with the command line whose output explains more.
type usageError struct {
	err  error
	help string
}

func (u *usageError) Error() string { return u.err.Error() }
func (u *usageError) Unwrap() error { return u.err }

// judge tells mistakes in usage or configuration from what failed otherwise.
func judge(err error, command *kong.Context) error {
	if parse, ok := errors.AsType[*kong.ParseError](err); ok {
		return &usageError{err, helpCommand(parse.Context)}
	}
	_, wrong := errors.AsType[*mistake](err)
	_, config := errors.AsType[*node.ConfigError](err)
	if wrong || config {
		return &usageError{err, helpCommand(command)}
	}
	return err
}
