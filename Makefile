# Everything a person runs. The two that matter: sudo make demo, sudo make test.
#
# What the tests and the demo need besides Go is installed from the
# distribution by tool/needs, by package name, when it is missing.

SHELL := /bin/bash
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
GOFLAGS_BUILD := -trimpath -ldflags "-s -w -X github.com/posternhq/postern/internal/cli.Version=$(VERSION)"
# sudo drops /usr/local/go/bin from PATH on most systems.
export PATH := $(PATH):/usr/local/go/bin
# -trimpath as in the binary: what is compiled for one is there for the other.
export GOFLAGS := -trimpath -buildvcs=false

.PHONY: help build demo demo-overlap demo-egress demo-tenants demo-databases demo-central test clients test-race bench check fix generate express express-check form fuzz clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s $$'\t'

build: ## build bin/postern
	@mkdir -p bin
	go build $(GOFLAGS_BUILD) -o bin/postern ./cmd/postern

demo: build ## the main job, step by step, with PostgreSQL and psql (needs root)
	$(call tell,database)

demo-overlap: build ## several services behind one endpoint, and their names (needs root)
	$(call tell,overlap)

demo-egress: build ## three public names from networks without internet, and nothing else (needs root)
	$(call tell,egress)

demo-tenants: build ## a vendor shares with three customers, whose roles may do just that (needs root)
	$(call tell,tenants)

demo-databases: build ## PostgreSQL in a cluster and MariaDB by their own names, and the end of a writer (needs root)
	$(call tell,databases)

demo-central: build ## interface endpoints of one VPC, which all others call by one endpoint each (needs root)
	$(call tell,central)

define tell
	@tool/needs $@
	go build -trimpath -o bin/postern-demo ./cmd/postern-demo
	bin/postern-demo --postern bin/postern --story $(1)
endef

test: build ## every test (needs root)
	@tool/needs test
	@tool/test

clients: build ## Terraform's AWS provider and Ansible's amazon.aws against the binary (needs root)
	@tool/needs clients
	cd conformance && POSTERN_BIN=$(CURDIR)/bin/postern go test -count=1 -timeout 30m -v ./terraform ./ansible

# What many goroutines share, without what only waits for disks and the kernel.
RACE := ./internal/alloc ./internal/table/... ./internal/store ./internal/store/memstore ./internal/control/... ./internal/reconcile/... ./internal/agent/... \
  ./internal/daemon/... ./internal/resolver/... ./internal/service ./internal/service/vpclattice ./internal/aws/server

test-race: ## where goroutines meet, with the race detector (no root; some two minutes)
	go test -race -count=1 -timeout 10m $(RACE)

bench: build ## measure against plain routing, proxies and name servers (needs root)
	@tool/needs bench
	go run ./bench

check: ## format, vet, staticcheck, generated files
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not formatted (make fix):"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	cd conformance && go vet ./...
	cd tool/lint && go build -o $(CURDIR)/bin/staticcheck honnef.co/go/tools/cmd/staticcheck
	bin/staticcheck ./...
	cd conformance && $(CURDIR)/bin/staticcheck ./...
	cd tool/awsgen && go run . generate
	@git diff --exit-code --stat -- internal/aws/shape internal/access docs/coverage || { echo "generated files are not up to date (make generate)"; exit 1; }

fix: ## mend what check complains about, as far as a tool can
	gofmt -w $$(git ls-files '*.go')
	go mod tidy
	cd conformance && go mod tidy
	$(MAKE) generate

generate: ## write shapes, tables and docs/coverage from the models
	cd tool/awsgen && go run . generate

express: ## compile the express lane (needs clang, llvm and libbpf-dev)
	@tool/needs express
	tool/express build

express-check: ## compile it again where the same clang is, and compare
	@tool/express check

form: build ## keep a data folder of the present form, NAME=0002 (needs root)
	@test -n "$(NAME)" || { echo "name it: make form NAME=0002"; exit 1; }
	POSTERN_FORM=$(NAME) POSTERN_BIN=$(CURDIR)/bin/postern go test -count=1 -run '^TestMakeForm$$' ./test/system

fuzz: ## a short run of every fuzz target
	@for p in $$(grep -rl 'func Fuzz' --include='*_test.go' internal | xargs -n1 dirname | sort -u); do \
	  for f in $$(grep -ho 'func Fuzz[A-Za-z0-9]*' $$p/*_test.go | cut -c6-); do \
	    echo "== $$p $$f"; go test ./$$p -run xxx -fuzz "^$$f$$" -fuzztime $${FUZZTIME:-10s} || exit 1; done; done

clean: ## remove what was built
	rm -rf bin
