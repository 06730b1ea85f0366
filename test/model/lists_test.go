package model

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

func init() {
	judges["CreateAccessControlList"] = func(s *state, p map[string]string) judgement {
		var j judgement
		j.add(s.aclNamed(p["AclName"], ""), problem{"InvalidParameter", "AclName"})
		j.done = func(a answer) error {
			id := a.body.get("AclId")
			if id == "" || slices.Contains(s.order, id) {
				return fmt.Errorf("the id %q is empty or was there before", id)
			}
			s.order = append(s.order, id)
			s.acls[id] = acl{name: p["AclName"]}
			return nil
		}
		return j
	}
	judges["SetAccessControlListAttribute"] = func(s *state, p map[string]string) judgement {
		id, l, j := s.onACL(p)
		j.add(s.aclNamed(p["AclName"], id), problem{"InvalidParameter", "AclName"})
		j.done = func(answer) error {
			l.name = p["AclName"]
			s.acls[id] = l
			return nil
		}
		return j
	}
	judges["AddAccessControlListEntry"] = func(s *state, p map[string]string) judgement {
		id, l, j := s.onACL(p)
		j.done = func(answer) error {
			for _, e := range ranges(p["AclEntrys"]) {
				if !slices.Contains(l.entries, e) {
					l.entries = append(slices.Clone(l.entries), e)
				}
			}
			s.acls[id] = l
			return nil
		}
		return j
	}
	judges["RemoveAccessControlListEntry"] = func(s *state, p map[string]string) judgement {
		id, l, j := s.onACL(p)
		j.add(len(l.entries) == 0, problem{"AclEntryEmpty", ""})
		j.done = func(answer) error {
			gone := ranges(p["AclEntrys"])
			l.entries = slices.DeleteFunc(slices.Clone(l.entries), func(e string) bool { return slices.Contains(gone, e) })
			s.acls[id] = l
			return nil
		}
		return j
	}
	judges["DeleteAccessControlList"] = func(s *state, p map[string]string) judgement {
		id, _, j := s.onACL(p)
		for _, b := range s.balancers {
			for _, l := range b.listeners {
				j.add(l.acl == id, problem{"AclInUsed", ""})
			}
		}
		j.done = func(answer) error {
			delete(s.acls, id)
			return nil
		}
		return j
	}
	judges["DescribeAccessControlListAttribute"] = func(s *state, p map[string]string) judgement {
		_, l, j := s.onACL(p)
		j.done = func(a answer) error {
			var got []string
			for _, t := range a.body.list("AclEntrys", "AclEntry") {
				got = append(got, t.get("AclEntryIP"))
			}
			return firstOf(
				same("name", a.body.get("AclName"), l.name),
				same("entries", strings.Join(got, " "), strings.Join(l.entries, " ")),
			)
		}
		return j
	}
	judges["UploadServerCertificate"] = func(s *state, p map[string]string) judgement {
		return judgement{done: func(a answer) error {
			id := a.body.get("ServerCertificateId")
			if id == "" || slices.Contains(s.order, id) {
				return fmt.Errorf("the id %q is empty or was there before", id)
			}
			s.order = append(s.order, id)
			s.certs[id] = p["ServerCertificateName"]
			return nil
		}}
	}
	judges["SetServerCertificateName"] = func(s *state, p map[string]string) judgement {
		id, j := s.onCertificate(p)
		j.done = func(answer) error {
			s.certs[id] = p["ServerCertificateName"]
			return nil
		}
		return j
	}
	judges["DeleteServerCertificate"] = func(s *state, p map[string]string) judgement {
		id, j := s.onCertificate(p)
		for _, b := range s.balancers {
			for _, l := range b.listeners {
				j.add(l.certificate == id, problem{"CertificateAndPrivateKeyIsRefered", ""})
			}
		}
		j.done = func(answer) error {
			delete(s.certs, id)
			return nil
		}
		return j
	}
	judges["DescribeServerCertificates"] = func(s *state, _ map[string]string) judgement {
		return judgement{done: func(a answer) error {
			var got, want []string
			for _, t := range a.body.list("ServerCertificates", "ServerCertificate") {
				got = append(got, t.get("ServerCertificateId")+"="+t.get("ServerCertificateName"))
			}
			for _, id := range slices.Sorted(maps.Keys(s.certs)) {
				want = append(want, id+"="+s.certs[id])
			}
			slices.Sort(got)
			slices.Sort(want)
			return same("the list", strings.Join(got, " "), strings.Join(want, " "))
		}}
	}
	judges["TagResources"] = onTags(func(tags map[string]string, p map[string]string) { tags[p["Tag.1.Key"]] = p["Tag.1.Value"] })
	judges["UntagResources"] = onTags(func(tags map[string]string, p map[string]string) { delete(tags, p["TagKey.1"]) })
}

func (s *state) aclNamed(name, but string) bool {
	for id, l := range s.acls {
		if id != but && l.name == name {
			return true
		}
	}
	return false
}

func (s *state) onACL(p map[string]string) (id string, l acl, j judgement) {
	id = p["AclId"]
	l, ok := s.acls[id]
	j.add(!ok, noACL)
	return id, l, j
}

func (s *state) onCertificate(p map[string]string) (id string, j judgement) {
	id = p["ServerCertificateId"]
	_, ok := s.certs[id]
	j.add(!ok, problem{"ServerCertificateId.NotFound", ""})
	return id, j
}

func ranges(text string) []string {
	var raw []struct{ Entry string }
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		panic(err)
	}
	var out []string
	for _, r := range raw {
		out = append(out, r.Entry)
	}
	return out
}

// onTags changes the tags of an instance.
func onTags(do func(tags, p map[string]string)) judgeFunc {
	return func(s *state, p map[string]string) judgement {
		var j judgement
		b, ok := s.balancers[p["ResourceId.1"]]
		j.add(!ok, noTagged)
		j.done = func(answer) error {
			do(b.tags, p)
			return nil
		}
		return j
	}
}
