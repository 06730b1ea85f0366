package store

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// schemaVersion is the version of the values this program writes and the only
// one it reads.
const schemaVersion = 1

var schemaHead = []byte(`{"v":1,`)

// SchemaError says that a value was written by a program with another schema,
// normally a newer release.
type SchemaError struct{ Version int }

// Error names both versions.
func (e *SchemaError) Error() string {
	return fmt.Sprintf("value has schema version %d, this program reads version %d", e.Version, schemaVersion)
}

// ValueError is a value of the store that cannot be used.
type ValueError struct {
	Key string // as in the KV
	Err error
}

// Error names the key.
func (e *ValueError) Error() string { return fmt.Sprintf("stored value %s: %v", e.Key, e.Err) }

// Unwrap returns the cause.
func (e *ValueError) Unwrap() error { return e.Err }

// keyMismatchError: the resource in the value is another than the key says.
type keyMismatchError struct{ got string }

func (e *keyMismatchError) Error() string {
	return fmt.Sprintf("the resource in it has the key %q", e.got)
}

// encode gives v as JSON with the schema version as its first member.
func encode(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if len(body) < 3 || body[0] != '{' {
		return nil, fmt.Errorf("%T is not a JSON object with members", v)
	}
	out := make([]byte, 0, len(schemaHead)+len(body)-1)
	return append(append(out, schemaHead...), body[1:]...), nil
}

func decode[T any](value []byte) (*T, error) {
	// What encode wrote needs no second look for the version.
	if !bytes.HasPrefix(value, schemaHead) {
		var head struct {
			Version int `json:"v"`
		}
		if err := json.Unmarshal(value, &head); err != nil {
			return nil, err
		}
		if head.Version != schemaVersion {
			return nil, &SchemaError{head.Version}
		}
	}
	v := new(T)
	if err := json.Unmarshal(value, v); err != nil {
		return nil, err
	}
	return v, nil
}
