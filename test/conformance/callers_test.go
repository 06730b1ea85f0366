package conformance

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"
)

// signed is a V1 client of its own, able to put the parameters wherever some
// client puts them: "query", "form" (with the common ones and the signature) or
// "mixed" (the common ones in the query, those of the action in the form).
func signed(endpoint string) caller {
	client := &http.Client{Timeout: 20 * time.Second}
	return func(t testing.TB, s *step, params map[string]string) reply {
		t.Helper()
		method, place := s.method, s.place
		if method == "" {
			method, place = http.MethodPost, "query"
		}
		common := map[string]string{
			"Action": s.action, "Version": s.version, "Format": "JSON", "AccessKeyId": keyID,
			"SignatureMethod": "HMAC-SHA1", "SignatureVersion": "1.0", "SignatureType": "",
			"SignatureNonce": fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64()),
			"Timestamp":      time.Now().UTC().Format("2006-01-02T15:04:05Z"),
		}
		if place == "mixed" { // the library that does so
			common["Format"] = "json"
			delete(common, "SignatureType")
		}
		all := maps.Clone(common)
		maps.Copy(all, params)
		mac := hmac.New(sha1.New, []byte(keySecret+"&"))
		mac.Write([]byte(method + "&%2F&" + escape(encode(all))))
		signature := base64.StdEncoding.EncodeToString(mac.Sum(nil))
		common["Signature"], all["Signature"] = signature, signature
		query, form := "", ""
		switch place {
		case "query":
			query = encode(all)
		case "form":
			form = encode(all)
		case "mixed":
			query, form = encode(common), encode(params)
		default:
			t.Fatalf("%s: place %q", s.where, place)
		}
		r, err := http.NewRequest(method, endpoint+"/?"+query, strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		if method == http.MethodPost {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		r.Header.Set("x-acs-action", s.action)
		r.Header.Set("x-acs-version", s.version)
		resp, err := client.Do(r)
		if err != nil {
			t.Fatalf("%s: %v", s.where, err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatalf("%s: %v", s.where, err)
		}
		return replyOf(t, resp.StatusCode, body)
	}
}

// replyOf reads an answer in JSON.
func replyOf(t testing.TB, status int, body []byte) reply {
	t.Helper()
	if status == http.StatusOK {
		return reply{status: status, body: decoded(t, string(body))}
	}
	var e struct{ Code, Message string }
	if err := json.Unmarshal(body, &e); err != nil || e.Code == "" {
		t.Fatalf("an error without code: %v in %s", err, body)
	}
	return reply{status: status, code: e.Code, text: e.Message}
}

// byACS3 calls with the client of the V3 signature.
func byACS3(host string) caller {
	c := &acs3{host: host, id: keyID, secret: keySecret}
	return func(t testing.TB, s *step, params map[string]string) reply {
		t.Helper()
		out, e, err := c.call(s.version, s.action, params)
		if err != nil {
			t.Fatalf("%s: %v", s.where, err)
		}
		if e != nil {
			return reply{status: e.status, code: e.Code, text: e.Message}
		}
		text, err := json.Marshal(out)
		if err != nil {
			t.Fatal(err)
		}
		return reply{status: http.StatusOK, body: decoded(t, string(text))}
	}
}
