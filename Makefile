# make build   the binary, bin/pailfs
# make demo    the main job on a directory: no account, no server
# make test    set up the machine (as root, Debian: installs packages), run everything
# make check   the same without the set-up
# make soak    what takes too long for every run: the random tests for hours (PAILFS_TEST_SEED repeats one), 1 GiB
#              through each S3 server
# make bench   figures beside other programs

GO        ?= go
TAGS      := -tags disable_grpc_modules
VERSION   := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
BINARY    := bin/pailfs
PREFIX    ?= /usr/local
PROCS     ?= 2
BENCHARGS ?=
SECTION   := .ci/section

# Tests never ask a cloud where they are.
export AWS_EC2_METADATA_DISABLED := true
export GCE_METADATA_HOST := 127.0.0.1:1
export PAILFS_BINARY := $(CURDIR)/$(BINARY)

.PHONY: build install demo test check setup race lint uncached integration soak bench deps clean

build:
	CGO_ENABLED=0 $(GO) build $(TAGS) -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o $(BINARY) ./cmd/pailfs

# mount(8) and fstab find the helpers in /sbin.
install: build
	install -D -m 0755 $(BINARY) $(DESTDIR)$(PREFIX)/bin/pailfs
	install -d $(DESTDIR)/sbin
	for name in mount.pailfs mount.fuse.pailfs umount.pailfs umount.fuse.pailfs; do \
		ln -sf $(PREFIX)/bin/pailfs $(DESTDIR)/sbin/$$name; done

demo: build
	@demo/demo.sh $(BINARY)

test: setup check

check:
	@$(SECTION) lint $(MAKE) --no-print-directory lint
	@$(SECTION) build $(MAKE) --no-print-directory build
	@$(SECTION) "unit tests, with the race detector" $(MAKE) --no-print-directory race
	@$(SECTION) "tests with hardly a cache" $(MAKE) --no-print-directory uncached
	@$(SECTION) "integration tests" $(MAKE) --no-print-directory integration

setup:
	@$(SECTION) set-up .ci/setup

race:
	$(GO) test $(TAGS) -race -p $(PROCS) -timeout 15m $$($(GO) list $(TAGS) ./... | grep -v /integration)

# The file system with a cache that keeps nothing, and with one of one block.
uncached: build
	for cache in none one; do \
		PAILFS_TEST_CACHE=$$cache $(GO) test $(TAGS) -count=1 ./fs && \
		PAILFS_TEST_CACHE=$$cache $(GO) test $(TAGS) -count=1 -run 'TestP2Readers|TestP2Open|TestReadCache' ./integration || exit 1; done

integration: build
	$(GO) test $(TAGS) -p $(PROCS) -timeout 30m ./integration/...

soak: build
	PAILFS_TEST_CRASHES=500 $(GO) test $(TAGS) -v -timeout 24h -run '^TestP6KilledAtRandom$$' ./integration
	PAILFS_TEST_LARGE=1024 $(GO) test $(TAGS) -v -timeout 15m -run '^TestCompatibles$$/.*/Large' ./objstore/s3store

lint:
	@unformatted=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); \
	if [ -n "$$unformatted" ]; then echo "not gofmt'd:" $$unformatted; exit 1; fi
	$(GO) vet $(TAGS) ./...
	$(GO) test $(TAGS) ./internal/archtest

bench: build
	@.ci/setup s3fs rclone
	$(GO) run $(TAGS) ./integration/bench --pailfs $(BINARY) $(BENCHARGS)

deps: build
	CGO_ENABLED=0 GOOS=linux GOARCH=amd64 $(GO) list $(TAGS) -deps -f '{{if not .Standard}}{{.ImportPath}}{{end}}' ./cmd/pailfs | LC_ALL=C sort > deps.txt
	@size=$$(stat -c %s $(BINARY)); \
	echo "$$(wc -l < deps.txt) packages outside the standard library, the stripped binary has $$((size / 1000000)) MB of at most 45"; \
	test $$size -lt 45000000

clean:
	rm -rf bin
