package conformance

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/testutil"
)

// npmPackages are the vendor's clients for Node, in fixed versions.
var npmPackages = []string{"@alicloud/pop-core@1.8.0", "@alicloud/openapi-client@0.4.15"}

// nodeProgram reads one call per line and writes one answer per line.
const nodeProgram = `
const [endpoint, id, secret] = process.argv.slice(-3);
const Core = require('@alicloud/pop-core').RPCClient;
const OpenApi = require('@alicloud/openapi-client'), Util = require('@alicloud/tea-util');
const core = new Core({ endpoint, accessKeyId: id, accessKeySecret: secret, apiVersion: '2014-05-15', opts: { timeout: 20000 } });
const api = new OpenApi.default(new OpenApi.Config({ accessKeyId: id, accessKeySecret: secret,
  endpoint: endpoint.replace('http://', ''), protocol: 'HTTP', regionId: 'cn-hangzhou' }));

async function viaCore(c) {
  try {
    const client = c.version === core.apiVersion ? core
      : new Core({ endpoint, accessKeyId: id, accessKeySecret: secret, apiVersion: c.version, opts: { timeout: 20000 } });
    return { status: 200, body: await client.request(c.action, c.params, { method: c.method, formatParams: false }) };
  } catch (e) {
    if (!e.entry) throw e;
    return { status: e.entry.response.statusCode, body: e.data };
  }
}

async function viaApi(c) {
  const params = new OpenApi.Params({ action: c.action, version: c.version, protocol: 'HTTP', pathname: '/', method: 'POST',
    authType: 'AK', style: 'RPC', reqBodyType: 'formData', bodyType: 'json' });
  try {
    const r = await api.callApi(params, new OpenApi.OpenApiRequest({ query: c.params }), new Util.RuntimeOptions({ readTimeout: 20000 }));
    return { status: r.statusCode, body: r.body };
  } catch (e) {
    if (!e.data) throw e;
    return { status: e.data.statusCode, body: e.data };
  }
}

(async () => {
  for await (const line of require('readline').createInterface({ input: process.stdin })) {
    const c = JSON.parse(line);
    let out;
    try { out = await (c.client === 'core' ? viaCore(c) : viaApi(c)); } catch (e) { out = { failed: String(e && e.stack || e) }; }
    process.stdout.write(JSON.stringify(out) + '\n');
  }
})();
`

// nodeModules is a directory with the packages, made once per user and kept
// outside of the tree. Without node or npm the test is skipped, except in CI,
// where their absence is a failure.
func nodeModules(t testing.TB) string {
	t.Helper()
	testutil.Tool(t, "node")
	npm := testutil.Tool(t, "npm")
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = t.TempDir()
	}
	dir := filepath.Join(cache, "openslb-test", "npm-"+hexSum(strings.Join(npmPackages, " "))[:8])
	done := filepath.Join(dir, "complete")
	if _, err := os.Stat(done); err == nil {
		return dir
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"install", "--prefix", dir, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"}, npmPackages...)
	if out, err := exec.Command(npm, args...).CombinedOutput(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("npm: %v\n%s", err, out)
		}
		t.Skipf("npm cannot install the clients: %v\n%s", err, out)
	}
	if err := os.WriteFile(done, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// nodeCall is one line to the program.
type nodeCall struct {
	Client  string            `json:"client"` // core or api
	Method  string            `json:"method"`
	Version string            `json:"version"`
	Action  string            `json:"action"`
	Params  map[string]string `json:"params"`
}

// nodeClient runs the program for the length of the test.
func nodeClient(t testing.TB, endpoint string) func(t testing.TB, c nodeCall) (int, []byte) {
	t.Helper()
	cmd := exec.Command("node", "-e", nodeProgram, "--", endpoint, keyID, keySecret)
	cmd.Dir = nodeModules(t)
	child := testutil.StartChild(t, "node", cmd)
	return func(t testing.TB, c nodeCall) (int, []byte) {
		t.Helper()
		var answer struct {
			Status int
			Body   json.RawMessage
			Failed string
		}
		child.Ask(t, c, &answer)
		if answer.Failed != "" {
			t.Fatalf("%s: the client fails by itself: %s", c.Action, answer.Failed)
		}
		return answer.Status, answer.Body
	}
}

// byNode calls with one of the packages: "core", which signs V1 and sends GET or
// POST forms, or "api", which signs ACS3.
func byNode(call func(testing.TB, nodeCall) (int, []byte), client, method string) caller {
	return func(t testing.TB, s *step, params map[string]string) reply {
		t.Helper()
		status, body := call(t, nodeCall{client, method, s.version, s.action, params})
		return replyOf(t, status, body)
	}
}
