package model

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"
)

// chooser is where random choices come from: rapid, or a plain source.
type chooser interface {
	// below is a number from 0 to n-1.
	below(n int) int
}

func oneOf(r chooser, options ...string) string { return options[r.below(len(options))] }

// maybe is the option in half of the cases, else "".
func maybe(r chooser, options ...string) string {
	if r.below(2) == 0 {
		return ""
	}
	return oneOf(r, options...)
}

// id is mostly one that exists, at times one that is gone or never was.
func (s *state) id(r chooser, prefix string, exists func(id string) bool) string {
	var live, gone []string
	for _, id := range s.order {
		switch {
		case !strings.HasPrefix(id, prefix):
		case exists(id):
			live = append(live, id)
		default:
			gone = append(gone, id)
		}
	}
	switch n := r.below(20); {
	case n == 0 || len(live) == 0 && len(gone) == 0:
		return prefix + "nobody"
	case n == 1 && len(gone) > 0 || len(live) == 0:
		return gone[r.below(len(gone))]
	}
	return live[r.below(len(live))]
}

func (s *state) balancerID(r chooser) string {
	return s.id(r, "lb-", func(id string) bool { _, ok := s.balancers[id]; return ok })
}

func (s *state) groupID(r chooser) string {
	return s.id(r, "rsp-", func(id string) bool { _, _, ok := s.owner(id); return ok })
}

// groupOf prefers a group of the balancer.
func (s *state) groupOf(r chooser, lb string) string {
	ids := slices.Sorted(maps.Keys(s.balancers[lb].groups))
	if len(ids) == 0 || r.below(10) == 0 {
		return s.groupID(r)
	}
	slices.SortFunc(ids, func(a, b string) int { return slices.Index(s.order, a) - slices.Index(s.order, b) })
	return ids[r.below(len(ids))]
}

func (s *state) ruleID(r chooser) string {
	return s.id(r, "rule-", func(id string) bool { _, ok := s.rules[id]; return ok })
}

func (s *state) aclID(r chooser) string {
	return s.id(r, "acl-", func(id string) bool { _, ok := s.acls[id]; return ok })
}

// certificateID does not know a prefix: ids of certificates are digits.
func (s *state) certificateID(r chooser) string {
	ids := slices.Sorted(maps.Keys(s.certs))
	if len(ids) == 0 || r.below(10) == 0 {
		return "nobody"
	}
	slices.SortFunc(ids, func(a, b string) int { return slices.Index(s.order, a) - slices.Index(s.order, b) })
	return ids[r.below(len(ids))]
}

// servers is a list for the default group, or with ports for others.
func servers(r chooser, ports, weights bool) string {
	var out []string
	for range 1 + r.below(3) {
		e := fmt.Sprintf(`{"ServerId":"%s"`, oneOf(r, "i-1", "i-2", "i-3", "i-4", "i-1", "i-2", "i-3", "i-nobody"))
		if ports {
			e += fmt.Sprintf(`,"Port":"%s"`, oneOf(r, "80", "81"))
		}
		if weights && r.below(3) > 0 {
			e += fmt.Sprintf(`,"Weight":"%s"`, oneOf(r, "0", "1", "50", "100"))
		}
		if weights && r.below(4) == 0 {
			e += fmt.Sprintf(`,"Description":"%s"`, oneOf(r, "first", "second"))
		}
		out = append(out, e+"}")
	}
	return "[" + strings.Join(out, ",") + "]"
}

// make is a call with its parameters in pairs; those with empty values are left
// out.
func makeCall(action string, pairs ...string) call {
	c := call{action: action, params: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			c.params[pairs[i]] = pairs[i+1]
		}
	}
	return c
}

var protocols = []string{"TCP", "HTTP", "HTTPS", "UDP"}

func port(r chooser) string { return oneOf(r, "7001", "7002", "7003") }

// listenerCall creates or sets a listener.
func (s *state) listenerCall(r chooser, create bool) call {
	protocol, lb := oneOf(r, protocols...), s.balancerID(r)
	pairs := []string{"LoadBalancerId", lb, "ListenerPort", port(r), "Description", maybe(r, "one", "two"), "Scheduler", maybe(r, "wrr", "rr")}
	if r.below(3) == 0 {
		pairs = append(pairs, "AclStatus", "on", "AclType", "white", "AclId", s.aclID(r))
	} else if r.below(3) == 0 {
		pairs = append(pairs, "AclStatus", "off")
	}
	if protocol == "HTTPS" && (create || r.below(2) == 0) {
		pairs = append(pairs, "ServerCertificateId", s.certificateID(r))
	}
	if create {
		if strings.HasPrefix(protocol, "HTTP") {
			pairs = append(pairs, "HealthCheck", "off")
		}
		if r.below(3) == 0 {
			pairs = append(pairs, "VServerGroupId", s.groupOf(r, lb))
		}
		if r.below(3) > 0 {
			pairs = append(pairs, "BackendServerPort", oneOf(r, "80", "8080"))
		}
		return makeCall("CreateLoadBalancer"+protocol+"Listener", pairs...)
	}
	switch r.below(4) {
	case 0:
		pairs = append(pairs, "VServerGroup", "on", "VServerGroupId", s.groupOf(r, lb))
	case 1:
		pairs = append(pairs, "VServerGroup", "off")
	}
	return makeCall("SetLoadBalancer"+protocol+"ListenerAttribute", pairs...)
}

func (s *state) ruleList(r chooser, lb string) string {
	var out []string
	for i := range 1 + r.below(2) {
		out = append(out, fmt.Sprintf(`{"RuleName":"%s","Domain":"%s","Url":"%s","VServerGroupId":"%s"}`, oneOf(r, "a", "b", "c", "d")+fmt.Sprint(i),
			oneOf(r, "www.example.com", "*.example.com", "WWW.example.com"), oneOf(r, "/img", "/api"), s.groupOf(r, lb)))
	}
	return "[" + strings.Join(out, ",") + "]"
}

// wellFormed are the calls whose outcome the state decides.
var wellFormed = []func(s *state, r chooser) call{
	func(s *state, r chooser) call {
		if len(s.balancers) >= 4 {
			return makeCall("SetLoadBalancerName", "LoadBalancerId", s.balancerID(r), "LoadBalancerName", "many")
		}
		return makeCall("CreateLoadBalancer", "LoadBalancerName", oneOf(r, "a", "b"), "Tag.1.Key", "team", "Tag.1.Value", oneOf(r, "web", "ops"))
	},
	func(s *state, r chooser) call {
		return makeCall("DeleteLoadBalancer", "LoadBalancerId", s.balancerID(r))
	},
	func(s *state, r chooser) call {
		return makeCall("SetLoadBalancerStatus", "LoadBalancerId", s.balancerID(r), "LoadBalancerStatus", oneOf(r, "active", "inactive"))
	},
	func(s *state, r chooser) call {
		return makeCall("SetLoadBalancerDeleteProtection", "LoadBalancerId", s.balancerID(r), "DeleteProtection", oneOf(r, "on", "off"))
	},
	func(s *state, r chooser) call {
		return makeCall("AddBackendServers", "LoadBalancerId", s.balancerID(r), "BackendServers", servers(r, false, true))
	},
	func(s *state, r chooser) call {
		return makeCall("SetBackendServers", "LoadBalancerId", s.balancerID(r), "BackendServers", servers(r, false, true))
	},
	func(s *state, r chooser) call {
		return makeCall("RemoveBackendServers", "LoadBalancerId", s.balancerID(r), "BackendServers", servers(r, false, false))
	},
	func(s *state, r chooser) call { return s.listenerCall(r, true) },
	func(s *state, r chooser) call { return s.listenerCall(r, true) },
	func(s *state, r chooser) call { return s.listenerCall(r, false) },
	func(s *state, r chooser) call {
		return makeCall(oneOf(r, "StartLoadBalancerListener", "StartLoadBalancerListener", "StopLoadBalancerListener", "DeleteLoadBalancerListener"),
			"LoadBalancerId", s.balancerID(r), "ListenerPort", port(r), "ListenerProtocol", maybe(r, "tcp", "http", "udp", "https"))
	},
	func(s *state, r chooser) call {
		return makeCall("CreateVServerGroup", "LoadBalancerId", s.balancerID(r), "VServerGroupName", oneOf(r, "blue", "green"), "BackendServers", servers(r, true, true))
	},
	func(s *state, r chooser) call {
		return makeCall(oneOf(r, "AddVServerGroupBackendServers", "RemoveVServerGroupBackendServers", "SetVServerGroupAttribute"),
			"VServerGroupId", s.groupID(r), "BackendServers", servers(r, true, true))
	},
	func(s *state, r chooser) call {
		return makeCall("ModifyVServerGroupBackendServers", "VServerGroupId", s.groupID(r), "OldBackendServers", servers(r, true, false), "NewBackendServers", servers(r, true, true))
	},
	func(s *state, r chooser) call { return makeCall("DeleteVServerGroup", "VServerGroupId", s.groupID(r)) },
	func(s *state, r chooser) call {
		lb := s.balancerID(r)
		return makeCall("CreateRules", "LoadBalancerId", lb, "ListenerPort", port(r), "RuleList", s.ruleList(r, lb))
	},
	func(s *state, r chooser) call {
		id := s.ruleID(r)
		return makeCall("SetRule", "RuleId", id, "RuleName", maybe(r, "a0", "b0", "e0"), "VServerGroupId", s.groupOf(r, s.rules[id].balancer))
	},
	func(s *state, r chooser) call { return makeCall("DeleteRules", "RuleIds", `["`+s.ruleID(r)+`"]`) },
	func(s *state, r chooser) call {
		return makeCall("CreateAccessControlList", "AclName", oneOf(r, "office", "home", "lab"))
	},
	func(s *state, r chooser) call {
		return makeCall("SetAccessControlListAttribute", "AclId", s.aclID(r), "AclName", oneOf(r, "office", "home", "lab"))
	},
	func(s *state, r chooser) call {
		return makeCall(oneOf(r, "AddAccessControlListEntry", "RemoveAccessControlListEntry"), "AclId", s.aclID(r),
			"AclEntrys", fmt.Sprintf(`[{"entry":"10.%d.0.0/16","comment":"x"},{"entry":"10.%d.0.0/16"}]`, r.below(4), r.below(4)))
	},
	func(s *state, r chooser) call { return makeCall("DeleteAccessControlList", "AclId", s.aclID(r)) },
	func(s *state, r chooser) call {
		certificate, key := keyPair()
		return makeCall("UploadServerCertificate", "ServerCertificate", certificate, "PrivateKey", key, "ServerCertificateName", oneOf(r, "front", "back"))
	},
	func(s *state, r chooser) call {
		return makeCall("SetServerCertificateName", "ServerCertificateId", s.certificateID(r), "ServerCertificateName", oneOf(r, "front", "back"))
	},
	func(s *state, r chooser) call {
		return makeCall("DeleteServerCertificate", "ServerCertificateId", s.certificateID(r))
	},
	func(s *state, r chooser) call {
		return makeCall("TagResources", "ResourceType", "instance", "ResourceId.1", s.balancerID(r), "Tag.1.Key", oneOf(r, "team", "stage"), "Tag.1.Value", maybe(r, "web", "test"))
	},
	func(s *state, r chooser) call {
		return makeCall("UntagResources", "ResourceType", "instance", "ResourceId.1", s.balancerID(r), "TagKey.1", oneOf(r, "team", "stage"))
	},
}

// malformed are the calls that no state makes right.
var malformed = []func(s *state, r chooser) call{
	func(s *state, r chooser) call {
		return wrong("InvalidWeight.Malformed", "AddBackendServers", "LoadBalancerId", s.balancerID(r), "BackendServers",
			fmt.Sprintf(`[{"ServerId":"i-1"},{"ServerId":"i-2","Weight":"%s"}]`, oneOf(r, "101", "-1", "many")))
	},
	func(s *state, r chooser) call {
		return wrong("TooManyBackendServers", "AddBackendServers", "LoadBalancerId", s.balancerID(r), "BackendServers", "["+strings.Repeat(`"i-1",`, 20)+`"i-2"]`)
	},
	func(s *state, r chooser) call {
		return wrong("MissingParameter", "SetBackendServers", "BackendServers", servers(r, false, true))
	},
	func(s *state, r chooser) call {
		return wrong("InvalidParameter", "CreateLoadBalancer"+oneOf(r, "TCP", "UDP")+"Listener", "LoadBalancerId", s.balancerID(r),
			"ListenerPort", oneOf(r, "0", "65536", "x", "-7"), "BackendServerPort", "80")
	},
	func(s *state, r chooser) call {
		return wrong("InvalidParameter", "SetLoadBalancerStatus", "LoadBalancerId", s.balancerID(r), "LoadBalancerStatus", oneOf(r, "locked", "up"))
	},
	func(s *state, r chooser) call {
		return wrong("RuleListMalformed", "CreateRules", "LoadBalancerId", s.balancerID(r), "ListenerPort", port(r), "RuleList", oneOf(r, "[{", "{}x", `[{"Domain":"a.b"}]`))
	},
	func(s *state, r chooser) call {
		return wrong("InvalidParameter", "AddVServerGroupBackendServers", "VServerGroupId", s.groupID(r), "BackendServers", `[{"ServerId":"i-1","Port":"0"}]`)
	},
	func(s *state, r chooser) call {
		return wrong("KeyFormatError", "UploadServerCertificate", "ServerCertificate", "no certificate", "PrivateKey", "no key")
	},
}

func wrong(code, action string, pairs ...string) call {
	c := makeCall(action, pairs...)
	c.wrong = code
	return c
}

// keyPair is one certificate for all uploads.
var keyPair = sync.OnceValues(func() (certificate, key string) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	model := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "www.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), DNSNames: []string{"www.example.com"}}
	der, err := x509.CreateCertificate(rand.Reader, model, model, private.Public(), private)
	if err != nil {
		panic(err)
	}
	text, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: text}))
})
