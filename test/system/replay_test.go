package system

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/client"
	"github.com/openslb/openslb/internal/node"
	"github.com/openslb/openslb/internal/testutil"
)

// wiretap keeps the bodies of the requests that pass.
type wiretap struct{ captured []string }

func (w *wiretap) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := r.GetBody()
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	w.captured = append(w.captured, string(text))
	return http.DefaultTransport.RoundTrip(r)
}

// TestReplayAfterKill: a signed request that somebody has captured is good for
// nothing, also when the program that took it was killed the moment it answered.
func TestReplayAfterKill(t *testing.T) {
	bin, err := testutil.BuildProgram(t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	data, pool := t.TempDir(), testutil.AddressPool(t).String()
	p := serve(t, bin, data, pool)
	var tap wiretap
	api := client.Client{Endpoint: p.endpoint, KeyID: node.DevKeyID, Secret: node.DevKeySecret, Region: node.DefaultRegion, HTTP: &http.Client{Transport: &tap}}
	for _, action := range []string{"CreateLoadBalancer", "DescribeRegions"} {
		if err := api.Do(t.Context(), action, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	captured := tap.captured
	p.kill()
	p = serve(t, bin, data, pool)
	defer p.kill()
	for _, form := range captured {
		r, err := http.Post(p.endpoint, "application/x-www-form-urlencoded", strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || r.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), "SignatureNonceUsed") {
			t.Errorf("HTTP %d %v %s", r.StatusCode, err, body)
		}
	}
	api.Endpoint = p.endpoint
	var list struct{ TotalCount int }
	if err := api.Do(t.Context(), "DescribeLoadBalancers", nil, &list); err != nil || list.TotalCount != 1 {
		t.Errorf("%d instances, %v", list.TotalCount, err)
	}
}
