package node

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The key pair of development mode.
const (
	DevKeyID     = "testid"
	DevKeySecret = "testsecret"
)

// Credentials is what a client needs to call a node.
//
// The file has the form of the vendor's own shared credentials file, so that an
// SDK reads it too when ALIBABA_CLOUD_CREDENTIALS_FILE names it. Endpoint,
// Region and CAFile are additions of ours, which the SDKs pass over.
type Credentials struct {
	KeyID, Secret string
	Endpoint      string // http://host:port
	Region        string
	CAFile        string
}

// CredentialsFile is the path of the file in a data directory.
func CredentialsFile(data string) string { return filepath.Join(data, "credentials") }

// fields ties the file's names to the fields, in the order of writing.
func (c *Credentials) fields() []struct {
	name  string
	value *string
} {
	return []struct {
		name  string
		value *string
	}{
		{"access_key_id", &c.KeyID},
		{"access_key_secret", &c.Secret},
		{"endpoint", &c.Endpoint},
		{"region", &c.Region},
		{"ca_file", &c.CAFile},
	}
}

// ReadCredentials reads the credentials file of a data directory. The error of
// a missing file satisfies errors.Is(err, fs.ErrNotExist); that of a damaged one
// names the file, and the line where it is known.
func ReadCredentials(data string) (Credentials, error) {
	var c Credentials
	file := CredentialsFile(data)
	text, err := os.ReadFile(file)
	if err != nil {
		return c, err
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "[") {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			return c, fmt.Errorf("%s:%d: expected name = value", file, n)
		}
		for _, f := range c.fields() {
			if f.name == strings.TrimSpace(name) {
				*f.value = strings.TrimSpace(value)
			}
		}
	}
	switch {
	case lines.Err() != nil:
		return c, fmt.Errorf("%s: %w", file, lines.Err())
	case len(bytes.TrimSpace(text)) == 0:
		return c, fmt.Errorf("%s: it is empty", file)
	case (c.KeyID == "") != (c.Secret == ""):
		return c, fmt.Errorf("%s: of access_key_id and access_key_secret one is missing", file)
	}
	return c, nil
}

// writeCredentials replaces the file of a data directory whole, readable by its
// owner alone.
func writeCredentials(data string, c Credentials) error {
	var b bytes.Buffer
	b.WriteString("# Access key of this OpenSLB node; openslb call and the vendor's SDKs read it.\n")
	b.WriteString("[default]\ntype = access_key\n")
	for _, f := range c.fields() {
		if *f.value != "" {
			fmt.Fprintf(&b, "%s = %s\n", f.name, *f.value)
		}
	}
	// A temporary file of mode 0600 in the same directory: no reader sees a half,
	// and the secret is at no moment open to others.
	tmp, err := os.CreateTemp(data, ".credentials-*")
	if err != nil {
		return fmt.Errorf("write credentials: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(b.Bytes())
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), CredentialsFile(data))
	}
	if err != nil {
		return fmt.Errorf("write credentials: %w", err)
	}
	return nil
}
