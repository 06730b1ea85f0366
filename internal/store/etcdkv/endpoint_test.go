package etcdkv

import (
	"net"
	"strings"
	"testing"
	"time"
)

func TestCheckEndpoint(t *testing.T) {
	for endpoint, ok := range map[string]bool{
		"127.0.0.1:2379": true, "etcd-1:2379": true, "[::1]:2379": true, "http://h:1": true, "https://h:65535/": true, "unix:///run/etcd.sock": true,
		"": false, "foo": false, "h:": false, ":1": false, "h:0": false, "h:65536": false, "h:etcd": false, "http://": false, "http://h": false,
		"ftp://h:1": false, "http://h:1/path": false, "http://u:p@h:1": false, "http://h:1?q": false, "unix://": false, "h:1,h:2": false,
	} {
		if err := CheckEndpoint(endpoint); (err == nil) != ok {
			t.Errorf("%q: %v", endpoint, err)
		}
	}
}

// TestDialTellsWhy: each endpoint is named with what is the matter there.
func TestDialTellsWhy(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	at, none := silent.Addr().String(), closed.Addr().String()
	for _, c := range []struct {
		endpoints []string
		want      []string
	}{
		{[]string{none, "https://" + none}, []string{"etcd at " + none + ": ", "etcd at https://" + none + ": ", "refused"}},
		{[]string{"https://" + at}, []string{"etcd at https://" + at, "no answer within"}},
		{[]string{none, at}, []string{at, "does not answer as etcd does"}},
		{[]string{"unix:///nowhere/etcd.sock"}, []string{"/nowhere/etcd.sock", "no such file"}},
	} {
		k, err := Dial(t.Context(), DialConfig{Endpoints: c.endpoints, Timeout: 500 * time.Millisecond})
		if err == nil {
			k.Close()
			t.Errorf("%q: dialled", c.endpoints)
			continue
		}
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %v does not say %q", c.endpoints, err, part)
			}
		}
	}
}
