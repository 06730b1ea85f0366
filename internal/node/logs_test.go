package node

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/testutil"
)

// eventuallyFile waits until one of the files has the text, and gives its content.
func eventuallyFile(t *testing.T, pattern, text string) string {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		names, _ := filepath.Glob(pattern)
		for _, n := range names {
			if b, _ := os.ReadFile(n); strings.Contains(string(b), text) {
				return string(b)
			}
		}
	}
	t.Fatalf("no %q in %s", text, pattern)
	return ""
}

// TestLogFiles: what the API switches on, a request, a server that dies, and who
// did all that, each in its file.
func TestLogFiles(t *testing.T) {
	data := t.TempDir()
	n := start(t, Config{Data: data, Logs: LogFiles{Connections: true}, InternetPool: []netip.Prefix{testutil.AddressPool(t)}})
	c := clientOf(n)
	do := func(action string, p map[string]string) map[string]any {
		t.Helper()
		p["RegionId"] = DefaultRegion
		var out map[string]any
		if err := c.Do(t.Context(), action, p, &out); err != nil {
			t.Fatalf("%s: %v", action, err)
		}
		return out
	}
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") }))
	defer backend.Close()
	host, port, _ := net.SplitHostPort(backend.Listener.Addr().String())
	c.Version = "2026-11-01"
	do("RegisterServer", map[string]string{"ServerId": "i-1", "Address.1": host})
	c = clientOf(n)
	made := do("CreateLoadBalancer", map[string]string{"LoadBalancerName": "one"})
	lb, address := made["LoadBalancerId"].(string), made["Address"].(string)
	do("CreateLoadBalancerHTTPListener", map[string]string{"LoadBalancerId": lb, "ListenerPort": "8080", "BackendServerPort": port, "HealthCheck": "on",
		"HealthCheckInterval": "1", "HealthCheckTimeout": "1", "UnhealthyThreshold": "2", "HealthyThreshold": "2", "Bandwidth": "-1"})
	do("AddBackendServers", map[string]string{"LoadBalancerId": lb, "BackendServers": `[{"ServerId":"i-1","Weight":"100"}]`})
	do("StartLoadBalancerListener", map[string]string{"LoadBalancerId": lb, "ListenerPort": "8080"})
	logs := fmt.Sprintf(`[{"LogProject":"p","LogStore":"s","LoadBalancerId":%q,"LogType":"layer7"}]`, lb)
	do("SetAccessLogsDownloadAttribute", map[string]string{"LogsDownloadAttributes": logs})

	get := func(path string) {
		resp, err := http.Get("http://" + address + ":8080" + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	get("/logged")
	file := filepath.Join(data, "logs/access/p/s", lb+".log")
	line := eventuallyFile(t, file, "/logged")
	var fields map[string]any
	if err := json.Unmarshal([]byte(strings.SplitN(line, "\n", 2)[0]), &fields); err != nil || fields["slbid"] != lb || fields["instance_name"] != "one" || fields["vip_addr"] != address {
		t.Errorf("line %s: %v", line, err)
	}
	if m := (facts{n}).Node().AccessLog; m.Mode != "on" || !strings.Contains(m.Reason, data) {
		t.Errorf("told of the access log: %+v", m)
	}
	do("DeleteAccessLogsDownloadAttribute", map[string]string{"LogsDownloadAttributes": logs})
	if m := (facts{n}).Node().AccessLog; m.Mode != "off" {
		t.Errorf("told of the access log: %+v", m)
	}
	do("CreateLoadBalancerTCPListener", map[string]string{"LoadBalancerId": lb, "ListenerPort": "8081", "BackendServerPort": port, "HealthCheckSwitch": "off", "Bandwidth": "-1"})
	do("StartLoadBalancerListener", map[string]string{"LoadBalancerId": lb, "ListenerPort": "8081"})
	raw, err := net.Dial("tcp", address+":8081")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(raw, "GET / HTTP/1.0\r\n\r\n")
	if _, err := io.ReadAll(raw); err != nil {
		t.Error(err)
	}
	raw.Close()
	eventuallyFile(t, filepath.Join(data, "logs/connections", lb+".log"), `"upstream_addr":"`+backend.Listener.Addr().String()+`"`)
	get("/unseen")

	// The check may not have found the server well yet; it finds it dead in any case.
	backend.Close()
	want := fmt.Sprintf("%s:8080 to %s:%s abnormal; cause:", address, host, port)
	eventuallyFile(t, filepath.Join(data, "logs/health/*/*.txt"), want)
	l, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		t.Fatal(err)
	}
	again := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "again") })}
	go func() { _ = again.Serve(l) }()
	defer again.Close()
	eventuallyFile(t, filepath.Join(data, "logs/health/*/*.txt"), fmt.Sprintf("%s:8080 to %s:%s normal\n", address, host, port))

	audit := eventuallyFile(t, filepath.Join(data, "logs/audit/audit.log"), "DeleteAccessLogsDownloadAttribute")
	for _, want := range []string{`"action":"CreateLoadBalancerHTTPListener"`, `"LoadBalancerId":"` + lb + `"`, `"ListenerPort":"8080"`, `"code":"-"`, `"remote":"127.0.0.1:`} {
		if !strings.Contains(audit, want) {
			t.Errorf("no %s in\n%s", want, audit)
		}
	}
	for _, text := range strings.Split(strings.TrimSpace(audit), "\n") {
		if !json.Valid([]byte(text)) || strings.Contains(text, "Describe") || strings.Contains(text, "Signature") {
			t.Errorf("line %s", text)
		}
	}
	stop(t, n)
	if b, _ := os.ReadFile(file); strings.Contains(string(b), "/unseen") {
		t.Error("logged after it was switched off")
	}
}
