package archtest

// Module is the import path that all packages of the tree begin with.
const Module = "github.com/openslb/openslb"

// Rule says what one package of the module may import from the module.
//
// Paths are relative: "dataplane/l4" stands for internal/dataplane/l4; packages
// outside internal/ are named with their first element, such as "cmd/openslb"
// or "test/system". A path that ends in "/..." stands for itself and all below.
type Rule struct {
	Package string
	May     []string // imports of all files
	Tests   []string // further imports of _test.go files
	Why     string   // printed with every violation
}

// OutsideRule restricts a package from outside of the module to some of ours.
// Path is a prefix of the import path, element by element.
type OutsideRule struct {
	Path string
	// Only the packages of this list may import it; empty means nobody.
	Only []string
	// Tests are further packages whose _test.go files may import it.
	Tests []string
	Why   string
}

// leaves are the helpers at the bottom of the data plane that l4, l7 and their
// like may use.
var leaves = []string{
	"accesslog", "trace",
	"dataplane/balance", "dataplane/health", "dataplane/sock", "dataplane/acl",
	"dataplane/limit", "dataplane/tlsconf", "dataplane/proxyproto", "dataplane/transparent",
}

// everything is for the packages that may know all others.
var everything = []string{"..."}

func with(base []string, more ...string) []string {
	return append(append([]string(nil), base...), more...)
}

// Rules is the import table. A package that is not in it fails the test: decide
// where a new package stands before writing it.
var Rules = []Rule{
	{Package: "slb", Why: "the vocabulary is imported by nearly everybody, so that an import here would be an import everywhere"},
	{Package: "rpc", Why: "the protocol serves any product; it must not learn what a load balancer is"},
	{Package: "client", May: []string{"rpc"}, Why: "a client knows the wire, not the server"},
	{Package: "localca", Why: "making certificates needs nothing of ours"},
	{Package: "handover", Tests: []string{"testutil"}, Why: "messages and descriptors pass between processes whatever they are about"},
	{Package: "metrics", May: []string{"dataplane/spec"}, Why: "names and labels are read from facts, never from the parts that make them"},
	{Package: "accesslog", Why: "a line writer needs nothing of ours"},
	{Package: "trace", Why: "spans are of requests, whoever serves them; those who record need not see how they are sent"},
	{Package: "trace/otlp", May: []string{"trace"}, Tests: []string{"testutil/collector"}, Why: "a sender of spans needs nothing of ours but spans"},
	{Package: "console", Why: "the console is a client of the API over HTTP like any other; an import would be a door of its own"},

	{Package: "store/kv", Why: "the small interface under the store must fit any key-value engine"},
	{Package: "store/etcdkv", May: []string{"store/kv"}, Tests: []string{"store/kvtest"}, Why: "an engine stores bytes and does not know what they mean"},
	{Package: "store/memkv", May: []string{"store/kv"}, Tests: []string{"store/kvtest"}, Why: "an engine stores bytes and does not know what they mean"},
	{Package: "store/kvtest", May: []string{"store/kv"}, Why: "one suite for every engine cannot know any of them"},
	{Package: "store", May: []string{"slb", "store/kv"}, Tests: []string{"store/memkv", "store/etcdkv", "store/kvtest"}, Why: "the store takes its engine from outside, so that tests run on memory and nodes on etcd"},
	{Package: "keys", May: []string{"store", "slb"}, Tests: []string{"store/memkv"}, Why: "keys are records of the store; rpc meets them through an interface of its own"},

	{Package: "api", May: []string{"rpc", "slb", "store"}, Tests: []string{"client", "store/memkv", "store/kv", "keys", "plan", "dataplane/spec"}, Why: "intent flows down through the store alone: api declares the small interfaces for facts and never sees the data plane"},
	{Package: "plan", May: []string{"slb", "dataplane/spec"}, Tests: []string{"dataplane"}, Why: "plan is a pure function from one vocabulary to the other"},
	{Package: "reconcile", May: []string{"store", "plan", "dataplane", "slb", "dataplane/spec"}, Tests: []string{"store/memkv"}, Why: "the loop moves plans from the store to the engine and decides nothing itself"},

	{Package: "dataplane", May: []string{"dataplane/...", "accesslog", "trace"}, Why: "the engine obeys spec.Config and knows nothing of the API or of where a configuration is kept"},
	{Package: "dataplane/spec", Why: "plain values shared by both sides must not pull either side in"},
	{Package: "dataplane/loop", Why: "the loop knows sockets, not protocols"},
	{Package: "dataplane/balance", May: []string{"dataplane/spec"}, Why: "a leaf helper sees values only"},
	{Package: "dataplane/health", May: []string{"dataplane/spec"}, Why: "a leaf helper sees values only"},
	{Package: "dataplane/sock", May: []string{"dataplane/spec"}, Why: "a leaf helper sees values only"},
	{Package: "dataplane/acl", May: []string{"dataplane/spec"}, Why: "a leaf helper sees values only"},
	{Package: "dataplane/limit", May: []string{"dataplane/spec"}, Why: "a leaf helper sees values only"},
	{Package: "dataplane/tlsconf", May: []string{"dataplane/spec"}, Why: "a leaf helper sees values only"},
	{Package: "dataplane/proxyproto", May: []string{"dataplane/spec"}, Why: "a leaf helper sees values only"},
	{Package: "dataplane/transparent", May: []string{"dataplane/spec"}, Tests: []string{"testutil/netns", "testutil"}, Why: "a leaf helper sees values only"},
	{Package: "dataplane/pool", May: []string{"dataplane/spec", "dataplane/balance", "dataplane/health"}, Why: "a pool picks among servers and does not know who asks"},
	{Package: "dataplane/l4", May: with(leaves, "dataplane/spec", "dataplane/pool", "dataplane/loop"), Why: "the engines share pools and leaf helpers but never know each other"},
	{Package: "dataplane/l7", May: with(leaves, "dataplane/spec", "dataplane/pool", "dataplane/loop", "dataplane/l7/..."), Tests: []string{"testutil/grpctest", "testutil/wstest", "testutil/collector", "trace/otlp"}, Why: "the engines share pools and leaf helpers but never know each other"},
	{Package: "dataplane/l7/h1", Why: "a protocol core turns bytes into events and has no sockets, clocks or pools"},
	{Package: "dataplane/l7/h2", Why: "a protocol core turns bytes into events and has no sockets, clocks or pools"},
	{Package: "dataplane/l7/policy", May: with(leaves, "dataplane/spec", "dataplane/pool"), Tests: []string{"dataplane/l7/h1"}, Why: "a decision is the same for every protocol and driver, so that it knows none of them"},
	{Package: "dataplane/fastpath", May: with(leaves, "dataplane/spec", "dataplane/pool", "dataplane/loop"), Why: "the engines share pools and leaf helpers but never know each other"},

	{Package: "node", May: everything, Why: "the wiring knows all"},
	{Package: "archtest", Why: "the checker must build when nothing else does"},
	{Package: "testutil", May: []string{"rpc", "client"}, Why: "helpers that every package's tests may use must not pull those packages in"},

	{Package: "testutil/netns", Tests: []string{"testutil"}, Why: "namespaces are made for tests of any package"},
	{Package: "testutil/grpctest", Why: "streams of gRPC are for tests of any package, apart from testutil so that only those who use them build the library"},
	{Package: "testutil/wstest", Why: "frames of WebSocket are for tests of any package"},
	{Package: "testutil/collector", Why: "spans are received for tests of any package, and most need not pull in what reads them"},

	{Package: "quickstart", Why: "the story is told through the command line and the public port; an import would be a back door"},
	{Package: "cmd/openslb", May: []string{"node", "client", "quickstart"}, Tests: everything, Why: "main reads flags and starts a node; logic in main cannot be reused or tested"},
	{Package: "bench", May: []string{"client", "testutil"}, Why: "the benchmark measures the real binary from outside, beside its peers"},
	{Package: "test/conformance", Tests: []string{"node", "client", "slb"}, Why: "conformance is seen from the client's side of the wire"},
	{Package: "test/http1", Tests: []string{"dataplane/l7", "dataplane/pool", "dataplane/spec"}, Why: "the corpus judges bytes at both ends and shares no parser with the proxy"},
	{Package: "test/handover", Tests: []string{"node", "client", "handover", "testutil/...", "store/etcdkv"}, Why: "processes are replaced as users do it; only the other end of the control socket is played by the test"},
	{Package: "test/model", Tests: []string{"node", "client", "testutil"}, Why: "the model knows the published API and nothing of what is behind it"},
	{Package: "test/netns", Tests: []string{"testutil", "testutil/netns", "node", "client", "dataplane", "dataplane/spec", "dataplane/transparent"}, Why: "the data plane is watched from other hosts, with times that the API does not allow"},
	{Package: "test/system", Tests: []string{"node", "client", "slb", "plan", "reconcile", "store/...", "testutil/..."}, Why: "a whole node is driven over its public port"},
}

// nodeWhy is printed for any import of node that the table does not grant.
const nodeWhy = "node knows everybody, so that nobody may know node: only cmd/openslb and test/ start one"

// Outside restricts packages from outside of the module. It names what would
// quietly undo a design decision if it spread.
var Outside = []OutsideRule{
	{Path: "net/http/httputil", Why: "its ReverseProxy costs 2.5 to 4 times our own driver per request"},
	{Path: "go.etcd.io", Only: []string{"store/etcdkv"}, Tests: []string{"store", "store/etcdkv"}, Why: "one package knows the store's engine, so that it can be replaced or faked"},
	{Path: "go.opentelemetry.io", Only: []string{"trace/otlp", "testutil/collector"}, Tests: []string{"trace", "dataplane/l7"}, Why: "one package knows how spans are sent; the rest records them without the SDK, which allocates for each"},
	{Path: "go.uber.org/zap", Only: []string{"store/etcdkv"}, Why: "logs go through log/slog; zap is there because etcd speaks it"},
	{Path: "github.com/alecthomas/kong", Only: []string{"cmd/openslb"}, Why: "flags end at main"},
	{Path: "github.com/knadh/koanf", Only: []string{"cmd/openslb", "node"}, Why: "settings are read once, at the top"},
	{Path: "github.com/aliyun", Tests: []string{"test/conformance", "client"}, Why: "the official SDK proves the server from outside; the product does not depend on it"},
	{Path: "github.com/pires/go-proxyproto", Tests: []string{"dataplane/proxyproto", "dataplane/l4", "test/netns"}, Why: "another's reader proves the headers we write; we never read one"},
	{Path: "github.com/rogpeppe/go-internal", Tests: []string{"cmd/openslb"}, Why: "scripts run the binary, and main is where it can be had"},
	{Path: "github.com/vishvananda", Only: []string{"dataplane/transparent", "testutil/netns"}, Tests: []string{"dataplane/transparent"}, Why: "routes and rules of the host are changed in one place, which also takes them back"},
	{Path: "github.com/google/nftables", Only: []string{"dataplane/transparent", "testutil/netns"}, Tests: []string{"dataplane/transparent"}, Why: "packet filters of the host are changed in one place, which also takes them back"},
	{Path: "google.golang.org/grpc", Only: []string{"store/etcdkv", "testutil/grpctest"}, Tests: []string{"trace/otlp", "dataplane/l7", "test/system", "test/handover"}, Why: "gRPC is passed on as HTTP/2 like any other; only etcd's errors and the tests speak it"},
	{Path: "net/http", Only: []string{"rpc", "client", "node", "console", "testutil", "testutil/wstest", "testutil/collector", "metrics", "quickstart", "cmd/openslb", "bench"}, Tests: everything, Why: "net/http serves API, console and metrics; proxied traffic and probes go through the data plane's own code"},
	{Path: "testing", Only: []string{"testutil", "testutil/netns", "testutil/grpctest", "testutil/collector", "store/kvtest"}, Tests: everything, Why: "production code must not know that it is tested"},
	{Path: "log/slog", Only: everything, Why: "the one way to log"},
	{Path: "log", Tests: everything, Why: "logs go through log/slog"},
}
