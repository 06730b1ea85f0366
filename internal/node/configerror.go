package node

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// ConfigError says that a setting, or a file that a setting names, is of no use:
// the node will not start before somebody has changed it. What may pass by
// itself, such as an address in use, is no such error.
type ConfigError struct {
	Setting string // name of the flag
	Value   string // as it was given
	Err     error  // what is wrong with it, and what would be right
}

// Error names the flag and its value, without the password that a URL may have.
func (e *ConfigError) Error() string {
	value := e.Value
	if at := strings.LastIndexByte(value, '@'); at >= 0 {
		begin := 0
		if i := strings.Index(value, "://"); i >= 0 && i < at {
			begin = i + len("://")
		}
		value = value[:begin] + "***" + value[at:]
	}
	if value == "" {
		value = `""`
	}
	return fmt.Sprintf("--%s %s: %v", e.Setting, value, e.Err)
}

// Unwrap gives what is wrong.
func (e *ConfigError) Unwrap() error { return e.Err }

// fileReason is err without the operation and the path that package os puts
// before it, where the message has named the file already.
func fileReason(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}
