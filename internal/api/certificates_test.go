package api

import (
	"crypto/sha1"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

// testSealer is a real one with a fixed key.
func testSealer() *store.Sealer {
	s, err := store.NewSealer([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		panic(err)
	}
	return s
}

// unsealed is the private key of a certificate as the data plane gets it.
func unsealed(t testing.TB, c *slb.ServerCertificate) string {
	t.Helper()
	key, err := testSealer().Open(c.SealedKey, slb.CertificateKeyContext(c.ID))
	if err != nil {
		t.Fatal(err)
	}
	return string(key)
}

// TestKeyKinds uploads every kind of key in every form that it has; what is kept
// serves, and the key cannot be read in the store.
func TestKeyKinds(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		kind  string
		forms func(p *pair) []string
	}{
		{"rsa1024", func(p *pair) []string { return []string{p.key, p.pkcs1()} }},
		{"rsa2048", func(p *pair) []string {
			return []string{p.key, p.pkcs1(), "\n\n" + p.key + "\n", strings.ReplaceAll(p.key, "\n", "\r\n")}
		}},
		{"rsa4096", func(p *pair) []string { return []string{p.key, p.pkcs1()} }},
		{"p256", func(p *pair) []string { return []string{p.key, p.sec1(t), ecParameters(t) + p.sec1(t)} }},
		{"p384", func(p *pair) []string { return []string{p.key, p.sec1(t)} }},
		{"p521", func(p *pair) []string { return []string{p.key, p.sec1(t)} }},
	} {
		p := certified(t, c.kind)
		for i, form := range c.forms(p) {
			t.Run(fmt.Sprint(c.kind, "/", i), func(t *testing.T) {
				w.t = t
				a := w.ok("UploadServerCertificate", "RegionId", "cn-hangzhou", "ServerCertificate", p.cert, "PrivateKey", form)
				kept, ok := w.store.State().ServerCertificates.Get(a.text(t, "ServerCertificateId"))
				if !ok {
					t.Fatal("not stored")
				}
				key := unsealed(t, kept)
				if _, err := tls.X509KeyPair([]byte(kept.Chain), []byte(key)); err != nil {
					t.Error(err)
				}
				if !strings.HasPrefix(key, "-----BEGIN PRIVATE KEY-----") {
					t.Errorf("kept as %.40s", key)
				}
				if strings.Contains(string(kept.SealedKey), "PRIVATE") || strings.Contains(kept.Chain, "PRIVATE") {
					t.Error("the key can be read in the store")
				}
			})
		}
	}
}

// TestCertificateIsRead: what answers tell is the leaf's.
func TestCertificateIsRead(t *testing.T) {
	w := newWorld(t)
	_, middle, leaf := authority(t)
	a := w.ok("UploadServerCertificate", "RegionId", "cn-hangzhou", "ServerCertificate", leaf.cert+middle.cert, "PrivateKey", leaf.key,
		"ServerCertificateName", "shop/*.example-1_x", "ResourceGroupId", "rg-1", "Tag.1.Key", "team", "Tag.1.Value", "web")
	sum := sha1.Sum(leaf.x509.Raw)
	var hexPairs []string
	for _, b := range sum {
		hexPairs = append(hexPairs, fmt.Sprintf("%02x", b))
	}
	for name, want := range map[string]any{
		"Fingerprint": strings.Join(hexPairs, ":"), "CommonName": "www.example.com",
		"ExpireTime": "2036-01-01T00:00:00Z", "ExpireTimeStamp": float64(time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()),
		"CreateTime": "2026-11-23T12:00:00Z", "CreateTimeStamp": float64(w.clock.Now().UnixMilli()),
		"IsAliCloudCertificate": 0.0, "RegionId": "cn-hangzhou", "ResourceGroupId": "rg-1", "ServerCertificateName": "shop/*.example-1_x",
	} {
		if got := a.at(t, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if got := fmt.Sprint(a.at(t, "SubjectAlternativeNames", "SubjectAlternativeName")); got != "[www.example.com example.com 192.0.2.7]" {
		t.Error(got)
	}
	kept, _ := w.store.State().ServerCertificates.Get(a.text(t, "ServerCertificateId"))
	if kept.Chain != leaf.cert+middle.cert {
		t.Error("the chain was not kept as it was")
	}
	// What stands between the blocks is not kept: it may be anything.
	b := w.upload(&pair{cert: "subject=secret words\n" + leaf.cert + "\r\n\r\nissuer\n" + middle.cert + "\n", key: leaf.key})
	if again, _ := w.store.State().ServerCertificates.Get(b); again.Chain != kept.Chain {
		t.Errorf("kept %q", again.Chain)
	}
}

// TestRefusedMaterial: each kind of bad material has its code, nothing is
// stored, and no answer repeats any of it.
func TestRefusedMaterial(t *testing.T) {
	w := newWorld(t)
	good, other := certified(t, "rsa2048"), certified(t, "p256")
	broken := strings.Replace(good.cert, "M", "!", 1)
	dh := armour("DH PARAMETERS", []byte{0x30, 0x00})
	half := good.cert[:len(good.cert)/2]
	der := string(good.x509.Raw)
	for _, c := range []struct {
		name      string
		cert, key string
		want      *slb.Error
	}{
		{"nothing", "", "", slb.ErrCertificateOrKeyEmpty},
		{"no key", good.cert, "", slb.ErrCertificateOrKeyEmpty},
		{"no certificate", "", good.key, slb.ErrCertificateOrKeyEmpty},
		{"text", "hello", good.key, slb.ErrCertificateFormat},
		{"broken base64", broken, good.key, slb.ErrCertificateFormat},
		{"half", half, good.key, slb.ErrCertificateFormat},
		{"half before whole", half + "\n" + good.cert, good.key, slb.ErrCertificateFormat},
		{"whole before half", good.cert + half, good.key, slb.ErrCertificateFormat},
		{"no certificate inside", armour("CERTIFICATE", []byte("certificate")), good.key, slb.ErrCertificateFormat},
		{"trailing bytes", armour("CERTIFICATE", append(slices.Clone(good.x509.Raw), 0)), good.key, slb.ErrCertificateFormat},
		{"DH parameters", good.cert + dh, good.key, slb.ErrCertificateFormat},
		{"key beside the certificate", good.cert + good.key, good.key, slb.ErrCertificateFormat},
		{"key for certificate", good.key, good.key, slb.ErrCertificateFormat},
		{"PKCS#7", armour("PKCS7", good.x509.Raw), good.key, slb.ErrCertificateFormat},
		{"oversize", strings.Repeat(good.cert, 65), good.key, slb.ErrParameterLength},
		{"too many", strings.Repeat(other.cert, 21), other.key, slb.ErrCertificateFormat},
		{"not the leaf first", other.cert + good.cert, good.key, slb.ErrPrivateKeyMismatch},
		{"P-224", certified(t, "p224").cert, good.key, slb.ErrCertificateKind},
		{"Ed25519", certified(t, "ed25519").cert, certified(t, "ed25519").key, slb.ErrCertificateKind},
		{"RSA above 4096", certified(t, "rsa4104").cert, certified(t, "rsa4104").key, slb.ErrCertificateKind},

		{"other key", good.cert, other.key, slb.ErrPrivateKeyMismatch},
		{"other key of the kind", good.cert, certified(t, "rsa1024").key, slb.ErrPrivateKeyMismatch},
		{"encrypted PKCS#1", good.cert, encryptedPKCS1(), slb.ErrPrivateKeyEncrypted},
		{"encrypted PKCS#8", good.cert, armour("ENCRYPTED PRIVATE KEY", []byte("x")), slb.ErrPrivateKeyEncrypted},
		{"encrypted and broken", good.cert, encryptedPKCS1()[:90], slb.ErrPrivateKeyEncrypted},
		{"certificate for key", good.cert, good.cert, slb.ErrPrivateKeyFormat},
		{"public key", good.cert, armour("PUBLIC KEY", []byte("x")), slb.ErrPrivateKeyFormat},
		{"key in DH parameters", good.cert, dh + good.key, slb.ErrPrivateKeyFormat},
		{"only EC parameters", other.cert, ecParameters(t), slb.ErrPrivateKeyFormat},
		{"EC parameters before PKCS#8", other.cert, ecParameters(t) + other.key, slb.ErrPrivateKeyFormat},
		{"two keys", good.cert, good.key + good.key, slb.ErrPrivateKeyFormat},
		{"empty block", good.cert, armour("PRIVATE KEY", nil), slb.ErrPrivateKeyFormat},
		{"wrong label", good.cert, strings.ReplaceAll(good.key, "PRIVATE KEY", "EC PRIVATE KEY"), slb.ErrPrivateKeyFormat},
		{"long key", good.cert, strings.Repeat(" ", 16<<10) + good.key, slb.ErrParameterLength},
		{"Ed25519 key", good.cert, certified(t, "ed25519").key, slb.ErrPrivateKeyFormat},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.t = t
			w.fails(c.want, "UploadServerCertificate", "RegionId", "cn-hangzhou", "ServerCertificate", c.cert, "PrivateKey", c.key)
		})
	}
	// Binary is no text at all, which the protocol tells before anybody looks.
	if status, a := w.try("UploadServerCertificate", "RegionId", "cn-hangzhou", "ServerCertificate", der, "PrivateKey", good.key); status != 400 || !strings.HasPrefix(a.text(t, "Code"), "InvalidParameter") {
		t.Error(status, a)
	}
	for _, text := range []string{"hello", broken, half, good.key, armour("PRIVATE KEY", []byte("x"))} {
		w.fails(slb.ErrCertificateFormat, "UploadCACertificate", "RegionId", "cn-hangzhou", "CACertificate", text)
	}
	w.fails(slb.ErrParameterLength, "UploadCACertificate", "RegionId", "cn-hangzhou", "CACertificate", strings.Repeat(good.cert, 65))
}

// TestAliCloudReference: there is no certificate service here to refer to. With
// the material beside it the reference is kept as a remark.
func TestAliCloudReference(t *testing.T) {
	w := newWorld(t)
	w.fails(slb.ErrUnsupported, "UploadServerCertificate", "RegionId", "cn-hangzhou", "AliCloudCertificateId", "4711", "AliCloudCertificateRegionId", "cn-hangzhou")
	a := w.ok("UploadServerCertificate", "RegionId", "cn-hangzhou", "ServerCertificate", certified(t, "p256").cert, "PrivateKey", certified(t, "p256").key,
		"AliCloudCertificateId", "4711", "AliCloudCertificateName", "n")
	if a.text(t, "AliCloudCertificateId") != "4711" || a.text(t, "AliCloudCertificateName") != "n" || a.at(t, "IsAliCloudCertificate") != 0.0 {
		t.Error(a)
	}
}

// TestWithoutSealer: a server that cannot seal keeps no key, and says nothing of
// what was sent.
func TestWithoutSealer(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Sealer = nil })
	status, a := w.try("UploadServerCertificate", "RegionId", "cn-hangzhou", "ServerCertificate", certified(t, "p256").cert, "PrivateKey", certified(t, "p256").key)
	if status != 500 || strings.Contains(fmt.Sprint(a), "PRIVATE") || w.store.State().ServerCertificates.Len() != 0 {
		t.Error(status, a)
	}
}

func TestCertificateQuotas(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Quotas.ServerCertificates, c.Quotas.CACertificates, c.Quotas.DomainExtensions = 2, 1, 1
	})
	p := certified(t, "p256")
	first := w.upload(p)
	second := w.upload(p)
	w.fails(slb.ErrQuota, "UploadServerCertificate", "RegionId", "cn-hangzhou", "ServerCertificate", p.cert, "PrivateKey", p.key)
	w.uploadCA(p)
	w.fails(slb.ErrQuota, "UploadCACertificate", "RegionId", "cn-hangzhou", "CACertificate", p.cert)
	lb := oneBalancer(w)
	w.https(lb, "443", first)
	w.extension(lb, "443", "a.example.com", second)
	w.fails(slb.ErrQuota, "CreateDomainExtension", "RegionId", "cn-hangzhou", "LoadBalancerId", lb, "ListenerPort", "443", "Domain", "b.example.com", "ServerCertificateId", second)
	w.https(lb, "444", first)
	w.extension(lb, "444", "a.example.com", second)
}

// TestCertificateLists: filters by id, group and tags; certificates of either
// kind stay in their own list.
func TestCertificateLists(t *testing.T) {
	w := newWorld(t)
	p := certified(t, "p256")
	for _, kind := range []struct {
		list, upload, id string
		put              func(more ...string) string
	}{
		{"DescribeServerCertificates", "ServerCertificate", "ServerCertificateId", func(more ...string) string { return w.upload(p, more...) }},
		{"DescribeCACertificates", "CACertificate", "CACertificateId", func(more ...string) string { return w.uploadCA(p, more...) }},
	} {
		a := kind.put(kind.upload+"Name", "one", "ResourceGroupId", "rg-1", "Tag.1.Key", "env", "Tag.1.Value", "prod", "Tag.2.Key", "bare")
		b := kind.put(kind.upload+"Name", "two", "ResourceGroupId", "rg-2", "Tag.1.Key", "env", "Tag.1.Value", "test")
		for _, c := range []struct {
			filter params
			want   []string
		}{
			{nil, []string{a, b}},
			{params{kind.id, a}, []string{a}},
			{params{kind.id, "none"}, nil},
			{params{"ResourceGroupId", "rg-2"}, []string{b}},
			{params{"Tag.1.Key", "env"}, []string{a, b}},
			{params{"Tag.1.Key", "env", "Tag.1.Value", "prod", "Tag.2.Key", "bare"}, []string{a}},
			{params{"Tag.1.Key", "env", "Tag.1.Value", "prod", kind.id, b}, nil},
		} {
			var got []string
			for _, v := range w.ok(kind.list, append(params{"RegionId", "cn-hangzhou"}, c.filter...)...).at(t, kind.upload+"s", kind.upload).([]any) {
				got = append(got, answer(v.(map[string]any)).text(t, kind.id))
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if !slices.Equal(got, c.want) {
				t.Errorf("%s %v: %v, want %v", kind.list, c.filter, got, c.want)
			}
		}
		set := "Set" + kind.upload + "Name"
		w.ok(set, "RegionId", "cn-hangzhou", kind.id, a, kind.upload+"Name", "renamed")
		if got := w.ok(kind.list, "RegionId", "cn-hangzhou", kind.id, a).text(t, kind.upload+"s", kind.upload, 0, kind.upload+"Name"); got != "renamed" {
			t.Error(got)
		}
		w.ok("Delete"+kind.upload, "RegionId", "cn-hangzhou", kind.id, a)
		if l := w.ok(kind.list, "RegionId", "cn-hangzhou").at(t, kind.upload+"s", kind.upload).([]any); len(l) != 1 {
			t.Errorf("%d left", len(l))
		}
	}
}

func FuzzServerCertificate(f *testing.F) {
	_, middle, leaf := authority(f)
	rsa, ec := certified(f, "rsa1024"), certified(f, "p256")
	f.Add(leaf.cert+middle.cert, leaf.key)
	f.Add(rsa.cert, rsa.pkcs1())
	f.Add(ec.cert, ecParameters(f)+ec.sec1(f))
	f.Add(ec.cert+"\n-----BEGIN ", encryptedPKCS1())
	f.Add(strings.ReplaceAll(ec.cert, "\n", "\r\n"), ec.key+"x")
	f.Add("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----")
	f.Fuzz(func(t *testing.T, cert, key string) {
		kept, chain, certErr := parseChain(cert)
		signer, keyText, keyErr := parseKey(key)
		if certErr != nil || keyErr != nil {
			return
		}
		if again, _, err := parseChain(kept); err != nil || again != kept {
			t.Errorf("what is kept cannot be read again: %v", err)
		}
		if strings.Contains(kept, "PRIVATE") {
			t.Error("a key is kept in clear")
		}
		if servable(chain[0].PublicKey) && belongs(signer, chain[0].PublicKey) {
			if _, err := tls.X509KeyPair([]byte(kept), keyText); err != nil {
				t.Errorf("accepted, and cannot be served: %v", err)
			}
		}
	})
}
