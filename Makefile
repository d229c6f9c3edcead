# Fardel. "make" alone lists what there is. Only build, test, demo and dist are
# needed to use it, and they need nothing but Go.

.SHELLFLAGS   := -eu -c
.DEFAULT_GOAL := help

GO          ?= go
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1.0-dev)
LDFLAGS     := -s -w -buildid= -X main.version=$(VERSION)
BUILD       := CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'
PLATFORMS   ?= linux/amd64 linux/arm64
STATICCHECK ?= honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME    ?= 20s
COMMANDS    := $(notdir $(patsubst %/,%,$(wildcard cmd/*/)))

.PHONY: help build test check race demo bench sweep fuzz vectors dist clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## one static binary for this machine, in build/
	@mkdir -p build
	@for c in $(COMMANDS); do $(BUILD) -o build/$$c ./cmd/$$c; done
	@ls -l build | awk 'NF > 8 { printf "  build/%s  %.1f MiB\n", $$9, $$5 / 1048576 }'

test: ## all tests; says at the end what was left out for want of a tool
	@$(GO) test -json ./... | $(GO) run ./fixtures/testsum

race: ## all tests with the race detector (needs a C compiler)
	@CGO_ENABLED=1 $(GO) test -race -json ./... | $(GO) run ./fixtures/testsum

check: ## format, vet, layers, and staticcheck where it can be had
	@test -z "$$(gofmt -l . | tee /dev/stderr)" || { echo 'these files are not formatted: gofmt -w .' >&2; exit 1; }
	@$(GO) vet ./...
	@$(GO) test -count=1 -run '^TestLayers' ./fixtures >/dev/null || { $(GO) test -count=1 -run '^TestLayers' ./fixtures; exit 1; }
	@if $(GO) run $(STATICCHECK) -version >/dev/null 2>&1; then $(GO) run $(STATICCHECK) ./...; \
	else echo 'left out: staticcheck cannot be fetched here'; \
	     test "$${FARDEL_REQUIRE_TOOLS:-}" != 1; fi
	@echo 'check: good'

demo: ## three sites, a stick, parcels and receipts in a temporary folder
	@$(GO) run ./cmd/fardel demo

bench: ## export and import beside cp and tar | zstd | age, then all benchmarks
	@$(GO) run ./fixtures/bench $(BENCH)
	@$(GO) test -run '^$$' -bench . -benchmem ./...

sweep: ## the long fault tests: cut or fail at every single operation
	@FARDEL_SWEEP=1 $(GO) test -timeout 60m -json ./... | $(GO) run ./fixtures/testsum

fuzz: ## each fuzz target for FUZZTIME (20s)
	@for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
	    echo "== $$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p; \
	  done; \
	done

vectors: ## make the test vectors of the formats again
	@$(GO) run ./fixtures/vectors/gen

dist: ## release binaries for PLATFORMS and their SHA-256 sums, in build/dist/
	@rm -rf build/dist && mkdir -p build/dist
	@for p in $(PLATFORMS); do for c in $(COMMANDS); do \
	  GOOS=$${p%/*} GOARCH=$${p#*/} $(BUILD) -o build/dist/$$c-$(VERSION)-$${p%/*}-$${p#*/} ./cmd/$$c; \
	done; done
	@cd build/dist && sha256sum * >SHA256SUMS && cat SHA256SUMS

clean: ## remove what was built
	@rm -rf build
