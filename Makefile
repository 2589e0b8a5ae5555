# make build   the binary, bin/pailfs
# make install the binary, the helpers of mount(8), man pages, completions, a systemd unit (PREFIX, DESTDIR); uninstall
# make cross   binaries for all systems (SYSTEMS), in bin/; the first time about 1.5 minutes of a processor for each
# make deb     a Debian package, in bin/ (ARCH=arm64 for another machine)
# make demo    the main job on a directory: no account, no server
# make test    set up the machine (as root, Debian: installs packages), run everything
# make check   the same without the set-up
# make soak    what takes too long for every run: the random tests for hours (PAILFS_TEST_SEED repeats one), 1 GiB
#              through each S3 server, 8 GiB with little memory, all programs with hardly a cache
# make bench   figures beside other programs

GO        ?= go
TAGS      := -tags disable_grpc_modules
VERSION   := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
BINARY    := bin/pailfs
INSTALLED ?= $(BINARY)
PREFIX    ?= /usr/local
SBINDIR   ?= /sbin
ZSHDIR    ?= $(PREFIX)/share/zsh/site-functions
PACKAGES  ?= bin
SYSTEMS   ?= $(if $(ARCH),linux/$(ARCH),linux/amd64 linux/arm64 linux/arm linux/386 darwin/amd64 darwin/arm64 freebsd/amd64)
PROCS     ?= 2
BENCHARGS ?=
SECTION   := .ci/section

# Tests never ask a cloud where they are.
export AWS_EC2_METADATA_DISABLED := true
export GCE_METADATA_HOST := 127.0.0.1:1
export PAILFS_BINARY := $(CURDIR)/$(BINARY)

.PHONY: build install install-files uninstall cross deb demo test check setup race lint uncached integration soak bench deps clean

build:
	CGO_ENABLED=0 $(GO) build $(TAGS) -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o $(BINARY) ./cmd/pailfs

# mount(8) and fstab find the helpers in /sbin.
install: build install-files

install-files:
	install -D -m 0755 $(INSTALLED) $(DESTDIR)$(PREFIX)/bin/pailfs
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/share/man \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(ZSHDIR) $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	for name in mount.pailfs mount.fuse.pailfs umount.pailfs umount.fuse.pailfs; do \
		ln -sf $(PREFIX)/bin/pailfs $(DESTDIR)$(SBINDIR)/$$name; done
	sed 's|@BINDIR@|$(PREFIX)/bin|' packaging/pailfs@.service > $(DESTDIR)$(PREFIX)/lib/systemd/system/pailfs@.service
	$(BINARY) man $(DESTDIR)$(PREFIX)/share/man
	$(BINARY) completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/pailfs
	$(BINARY) completion zsh > $(DESTDIR)$(ZSHDIR)/_pailfs
	$(BINARY) completion fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/pailfs.fish

uninstall:
	cd $(DESTDIR)$(SBINDIR) && rm -f mount.pailfs mount.fuse.pailfs umount.pailfs umount.fuse.pailfs
	rm -f $(DESTDIR)$(PREFIX)/bin/pailfs $(DESTDIR)$(PREFIX)/lib/systemd/system/pailfs@.service \
		$(DESTDIR)$(PREFIX)/share/man/man1/pailfs.1 $(DESTDIR)$(PREFIX)/share/man/man1/pailfs-*.1 \
		$(DESTDIR)$(PREFIX)/share/man/man8/*mount.pailfs.8 $(DESTDIR)$(PREFIX)/share/man/man8/*mount.fuse.pailfs.8 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/pailfs $(DESTDIR)$(ZSHDIR)/_pailfs \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/pailfs.fish

# The systems that pailfs runs on. Only on Linux, on amd64 and arm64, it mounts; what
# it does on the others is tried on 32 bits, which an amd64 runs too.
cross:
	for system in $(SYSTEMS); do \
		echo "$$system"; \
		CGO_ENABLED=0 GOOS=$${system%/*} GOARCH=$${system#*/} GOARM=7 $(GO) build $(TAGS) -trimpath -ldflags '-s -w -X main.version=$(VERSION)' \
			-o bin/pailfs-$${system%/*}-$${system#*/} ./cmd/pailfs || exit 1; done
	case ' $(SYSTEMS) ' in *' linux/386 '*) .ci/nomount bin/pailfs-linux-386 && \
		CGO_ENABLED=0 GOARCH=386 $(GO) test $(TAGS) ./mountopts ./objstore/dirstore ./objstore/internal/... ./cmd/pailfs/internal/transfer;; esac

# The binary of this machine writes man pages and completions, for each package.
deb: build $(if $(ARCH),cross)
	$(if $(ARCH),INSTALLED=bin/pailfs-linux-$(ARCH)) packaging/deb '$(VERSION)' '$(PACKAGES)' $(ARCH)

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

# The tests of the drivers leave what docs/conformance.md is made of.
race:
	PAILFS_CONFORMANCE=$(CURDIR)/bin/conformance $(GO) test $(TAGS) -race -p $(PROCS) -timeout 15m $$($(GO) list $(TAGS) ./... | grep -v -e /integration -e /archtest)
	$(GO) run ./objstore/storetest/conformance bin/conformance docs/conformance.md

# The file system with a cache that keeps nothing, and with one of one block.
uncached: build
	for cache in none one; do \
		PAILFS_TEST_CACHE=$$cache $(GO) test $(TAGS) -count=1 ./fs && \
		PAILFS_TEST_CACHE=$$cache $(GO) test $(TAGS) -count=1 -run 'TestP2Readers|TestP2Open|TestReadCache' ./integration || exit 1; done

integration: build
	$(GO) test $(TAGS) -p $(PROCS) -timeout 30m ./integration/...

soak: build
	PAILFS_TEST_CRASHES=500 PAILFS_TEST_CRASH_TARGETS=file,s3,gcs $(GO) test $(TAGS) -v -timeout 24h -run '^(TestP6KilledAtRandom|TestModel)$$' ./integration -rapid.checks=20000
	PAILFS_TEST_LARGE=1024 $(GO) test $(TAGS) -v -timeout 15m -run '^TestCompatibles$$/.*/Large' ./integration
	PAILFS_TEST_LARGE=8192 $(GO) test $(TAGS) -v -timeout 15m -run '^TestCompatibles$$/minio/Bounded' ./integration
	for cache in none one; do PAILFS_TEST_CACHE=$$cache $(GO) test $(TAGS) -count=1 -timeout 60m ./integration || exit 1; done

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
