package conformance

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/node"
)

// scripts are the files of testdata below dir.
func scripts(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts in %s: %v", dir, err)
	}
	return files
}

// prepare registers the servers that scripts name and returns their first
// variables.
func prepare(t *testing.T, n *node.Node) map[string]string {
	t.Helper()
	register(t, newSDK(t, n, "HTTP", keyID, keySecret), map[string]string{
		"i-1": "127.0.0.2", "i-2": "127.0.0.3", "i-3": "127.0.0.4", "i-4": "127.0.0.5",
	})
	return certificates(t)
}

// name is a subtest's name for a script.
func name(file string) string { return strings.TrimSuffix(filepath.Base(file), ".txt") }

// TestActions makes a good call of every action, in every family of actions with
// every client: the vendor's typed SDK, its clients for Node, and clients of our
// own for the two signatures.
func TestActions(t *testing.T) {
	n := startNode(t)
	vars := prepare(t, n)
	clients := map[string]caller{
		"v1-query": signed(n.Endpoint()),
		"acs3":     byACS3(hostPort(t, n)),
		"sdk":      bySDK(newSDK(t, n, "HTTP", keyID, keySecret)),
	}
	run := func(t *testing.T, call caller) {
		for _, file := range scripts(t, "actions") {
			t.Run(name(file), func(t *testing.T) { runScript(t, file, call, vars) })
		}
	}
	for client, call := range clients {
		t.Run(client, func(t *testing.T) { run(t, call) })
	}
	t.Run("node", func(t *testing.T) {
		talk := nodeClient(t, n.Endpoint())
		for client, call := range map[string]caller{
			"pop-core-get": byNode(talk, "core", "GET"), "pop-core-post": byNode(talk, "core", "POST"), "openapi-client": byNode(talk, "api", "POST"),
		} {
			t.Run(client, func(t *testing.T) { run(t, call) })
		}
	})
}

// TestClients replays what Terraform, the cluster controller and certificate
// tools send, in the order and the places in which they send it, and checks what
// they read with the types they demand.
func TestClients(t *testing.T) {
	n := startNode(t)
	vars := prepare(t, n)
	for _, file := range scripts(t, "clients") {
		t.Run(name(file), func(t *testing.T) { runScript(t, file, signed(n.Endpoint()), vars) })
	}
}
