package node

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/openslb/openslb/internal/slb"
)

// serversFile is the form of the file that seeds the register:
//
//	servers:
//	  - id: i-2zej4lxhjoq1icue6kup
//	    addresses: [192.168.0.11]
//	    status: Running        # or Stopped; Running when left out
//	    name: web-1
//	    zone: cn-hangzhou-a
//	    vpc: vpc-1
//	    tags: {team: web}
type serversFile struct {
	Servers []seedServer `yaml:"servers"`
}

type seedServer struct {
	ID        string            `yaml:"id"`
	Addresses []netip.Addr      `yaml:"addresses"`
	Status    string            `yaml:"status"`
	Name      string            `yaml:"name"`
	Zone      string            `yaml:"zone"`
	VPC       string            `yaml:"vpc"`
	Tags      map[string]string `yaml:"tags"`
}

// readServersFile reads and checks the file. Errors name, where it is known, the
// line or the server.
func readServersFile(file string) ([]*slb.Server, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fileReason(err)
	}
	var f serversFile
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("as a servers file: %w", err)
	}
	seen := make(map[string]bool)
	var out []*slb.Server
	for i, s := range f.Servers {
		srv, err := s.server()
		if err != nil {
			return nil, fmt.Errorf("entry %d (%q): %w", i+1, s.ID, err)
		}
		if seen[s.ID] {
			return nil, fmt.Errorf("%q is there twice", s.ID)
		}
		seen[s.ID] = true
		out = append(out, srv)
	}
	return out, nil
}

func (s seedServer) server() (*slb.Server, error) {
	out := &slb.Server{
		ID: slb.ServerID(s.ID), Name: s.Name,
		Status: slb.ServerRunning, ZoneID: s.Zone, VpcID: s.VPC,
	}
	if s.ID == "" {
		return nil, errors.New("id is missing")
	}
	if !out.ID.Valid() {
		return nil, errors.New("id may have letters, digits and . _ : - only, 128 at most, a letter or digit first")
	}
	if len(s.Addresses) == 0 {
		return nil, errors.New("addresses are missing")
	}
	for i, a := range s.Addresses {
		if a = a.Unmap(); !slb.IsHostAddress(a) || slices.Contains(out.Addresses, a) {
			return nil, fmt.Errorf("address %s: no host has it, or it is there twice", s.Addresses[i])
		}
		out.Addresses = append(out.Addresses, a)
	}
	if s.Status != "" {
		if err := out.Status.UnmarshalText([]byte(s.Status)); err != nil {
			return nil, fmt.Errorf("status: %w", err)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.Tags)) {
		out.Tags = append(out.Tags, slb.Tag{Key: key, Value: s.Tags[key]})
	}
	return out, nil
}
