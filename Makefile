# make quickstart   runs the whole story on this machine
# make test         passes everything that CI asks for, and installs what it needs

GO               ?= go
GOLANGCI_VERSION ?= 2.15.0
H2SPEC_VERSION   ?= 2.2.1+incompatible
TESTFLAGS        ?=
TIMEOUT          ?= 8m
FUZZTIME         ?= 10s
BENCHFLAGS       ?=
TESTSSL          ?= --protocols --server-defaults --vulnerable

# Tools live outside of the tree, where "go install" puts them.
TOOLS    := $(or $(shell $(GO) env GOBIN),$(shell $(GO) env GOPATH)/bin)
GOLANGCI := $(TOOLS)/golangci-lint

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | awk -F'\t' '{printf "%-17s %s\n", $$1, $$2}'

# The compiler goes by cmd/openslb/default.pgo, as it does for everybody who builds
# the program; see "make profile".
.PHONY: build
build: ## build bin/openslb
	@mkdir -p bin
	$(GO) build -trimpath -o bin/openslb ./cmd/openslb

.PHONY: quickstart
quickstart: build ## run the whole story: node, servers, calls, traffic; Ctrl-C ends it
	bin/openslb quickstart

# Cheap and telling first: a broken rule of the tree shows in seconds, before
# the race detector's build of everything and before the linter is built.
.PHONY: test
test: archtest build quickstart-check race lint ## everything that CI asks for

.PHONY: archtest
archtest: ## import rules and habits of the tree
	$(GO) test ./internal/archtest

.PHONY: quickstart-check
quickstart-check: build ## the story, ending at once; its exit code tells success
	bin/openslb quickstart --exit

# The seeds of the fuzz targets are ordinary tests and run here as well; archtest
# sees to it that every target has some. "go test" runs a part of vet, the linter
# runs all of it. By the profile all packages would be built anew for the tests of
# the program alone.
.PHONY: race
race: ## all tests under the race detector
	$(GO) test -race -pgo=off -timeout $(TIMEOUT) $(TESTFLAGS) ./...

.PHONY: unit
unit: ## all tests, quicker: without the race detector
	$(GO) test -pgo=off -timeout $(TIMEOUT) $(TESTFLAGS) ./...

.PHONY: lint
lint: golangci ## golangci-lint with vet and staticcheck; see .golangci.yml
	$(GOLANGCI) run ./...

# Another version counts as missing, since its findings differ. A first build
# takes some minutes; afterwards the go command's cache answers.
.PHONY: golangci
golangci:
	@"$(GOLANGCI)" version 2>/dev/null | grep -qF "version $(GOLANGCI_VERSION) " || { \
	  echo "installing golangci-lint $(GOLANGCI_VERSION) into $(TOOLS)"; \
	  $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$(GOLANGCI_VERSION); }

# Debian's names. Tests that need one of these are skipped without it, except
# in CI.
PEERS := haproxy nginx-light libnginx-mod-stream nghttp2-client slowhttptest testssl.sh openssl iproute2 nftables

.PHONY: peers
peers: ## install the programs that tests and benchmarks compare with (Debian, as root)
	@dpkg -s $(PEERS) >/dev/null 2>&1 || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(PEERS); }
	@test -x "$(TOOLS)/h2spec" || $(GO) install github.com/summerwind/h2spec/cmd/h2spec@v$(H2SPEC_VERSION)

# One target after the other, since the go command fuzzes one at a time.
.PHONY: fuzz
fuzz: ## fuzz every target for FUZZTIME (10s)
	@set -e; grep -rhoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' internal | sort -u | sed 's/^func //' | while read -r target; do \
	  for dir in $$(grep -rlE --include='*_test.go' "^func $$target\(" internal | xargs -n1 dirname | sort -u); do \
	    echo "$$dir $$target"; \
	    $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "./$$dir"; \
	  done; \
	done

.PHONY: tls-audit
tls-audit: ## let testssl.sh look at a listener of every TLS policy; takes minutes
	$(GO) test -timeout 2h -run TestTestssl -v ./test/system -testssl '$(TESTSSL)'

.PHONY: bench
bench: build ## cost beside HAProxy and nginx in one run, see docs/benchmarks.md
	$(GO) run ./bench -openslb bin/openslb $(BENCHFLAGS)

# To be renewed when a hot path has changed much. An old profile still serves: the
# compiler finds functions by name, and passes over what is gone.
PROFILED := l7-keepalive,l7-serving,l7-16k,l7-newconn,l7-steady,https-keepalive,https-serving,https-full,http2,tcp-newconn,tcp-exchange,udp-exchange

.PHONY: profile
profile: build ## renew the profile that builds go by, in some eight minutes of load
	$(GO) run ./bench -openslb bin/openslb -proxies openslb -rounds 1 -duration 40s -scenarios $(PROFILED) -profile cmd/openslb/default.pgo $(BENCHFLAGS)

.PHONY: bench-go
bench-go: ## Go benchmarks of the parts and of a whole node
	$(GO) test -run '^$$' -bench . -benchmem $(BENCHFLAGS) ./internal/... ./test/system

.PHONY: cover
cover: ## statement coverage of internal/, profile in cover.out
	$(GO) test -pgo=off -timeout $(TIMEOUT) -coverpkg=./internal/... -coverprofile=cover.out $(TESTFLAGS) ./...
	@$(GO) tool cover -func=cover.out | tail -1

.PHONY: clean
clean: ## remove what the targets above have made in the tree
	rm -rf bin cover.out
