# Stead. The two commands: make up, make test. Everything else is for working on it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export GOFLAGS := -buildvcs=false
export PATH := $(PATH):/usr/local/go/bin

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X github.com/steadpaas/stead/internal/daemon.Version=$(VERSION) -X github.com/steadpaas/stead/internal/cli.Version=$(VERSION)
CONTAINERD_TAGS := no_cri,no_btrfs,no_devmapper,no_zfs,no_tracing,no_systemd
RUNC_TAGS := seccomp,urfave_cli_no_docs,netgo,osusergo
PARTS := bin/containerd bin/containerd-shim-runc-v2 bin/containerd-shim-stead-v1 bin/runc bin/buildkitd
PACKAGES := git make gcc libc6-dev libseccomp-dev nftables iproute2 mmdebstrap ca-certificates curl

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

up: ## set up everything, start the platform, push the example app
	@scripts/up

down: ## stop the platform; PURGE=1 removes all of it
	@scripts/down

build: bin/stead bin/steadd $(PARTS) ## build the programs and the engine's parts

.PHONY: help up down build test test-fast lint bench bench-kill bench-loss bench-nothing fuzz packages programs
packages: ## install the Debian packages that building and running need
	@scripts/packages $(PACKAGES)

programs:
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/stead ./cmd/steadd

bin/stead bin/steadd: programs ;

bin/containerd: parts/containerd/go.mod parts/containerd/go.sum
	cd parts/containerd && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -tags $(CONTAINERD_TAGS) -o ../../bin/containerd github.com/containerd/containerd/v2/cmd/containerd
bin/containerd-shim-runc-v2: parts/containerd/go.mod $(wildcard parts/containerd/shim/*.go)
	cd parts/containerd && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -tags $(CONTAINERD_TAGS) -o ../../bin/containerd-shim-runc-v2 ./shim
bin/containerd-shim-stead-v1: parts/containerd/go.mod $(wildcard parts/containerd/start/*.go)
	cd parts/containerd && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o ../../bin/containerd-shim-stead-v1 ./start
bin/runc: parts/runc/go.mod parts/runc/go.sum
	cd parts/runc && CGO_ENABLED=1 go build -trimpath -tags $(RUNC_TAGS) -ldflags '-s -w -linkmode external -extldflags -static' -o ../../bin/runc github.com/opencontainers/runc
bin/buildkitd: parts/buildkit/go.mod parts/buildkit/go.sum
	cd parts/buildkit && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -tags netgo,osusergo -o ../../bin/buildkitd github.com/moby/buildkit/cmd/buildkitd

test: packages build ## every test, the real engine included
	go test -race -shuffle=on -count=1 -timeout 35m ./...

test-fast: ## what needs no root and no container
	go test -short -shuffle=on ./...

lint: ## gofmt and vet
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...

bench: build ## measure; the figures of docs/performance.md
	go test -run '^$$' -bench . -benchtime 1s ./internal/...
	STEAD_TEST_IDLE=15 go test -v -count=1 -run TestIdleCost ./test/e2e

bench-router: programs bin/traefik ## the router against nginx, HAProxy, Caddy and Traefik; BENCH=short: two to three minutes
	@scripts/bench-router

bin/traefik: test/bench/traefik/go.mod test/bench/traefik/go.sum
	@test/bench/traefik/build $@

bench-kill: build ## kill -9 the control plane a hundred times during pushes
	scripts/bench-kill

bench-loss: build ## ten deploys, scale 1→10→1, kills: no request lost of 500 a second
	STEAD_TEST_DEPLOYS=10 STEAD_TEST_SCALE=10 go test ./test/e2e -run '^TestZeroLoss$$/containerd' -count=1 -timeout 60m -v

bench-nothing: ## "make up" on a bare Debian in namespaces; too long for each run of the tests
	scripts/bench-nothing

fuzz: ## each fuzz target for a minute
	@scripts/fuzz 60s
