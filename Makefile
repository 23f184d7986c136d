# Thin verbs; the work is in cargo and in scripts/. On a fresh Debian 12 each installs what it
# needs through apt; only Rust and make must be there.

.PHONY: help run up down build test soak fuzz bench lint fmt openapi settings image microvm e2e-image \
	bench-image runtime

help:
	@echo 'make run      Chromium with browserd in front of it, in the foreground (Ctrl-C stops)'
	@echo 'make up       the same in the background; returns when ready'
	@echo 'make down     stops what make up started'
	@echo 'make build    the release binary'
	@echo 'make test     every test that needs no container engine'
	@echo 'make soak     the long forms of tests: a GiB of output, a minute of it unread'
	@echo 'make fuzz     every fuzz target for a minute'
	@echo 'make bench    every performance row against its peer'
	@echo 'make lint     formatting, clippy, docs, openapi.yaml, dependencies'
	@echo 'make fmt      formats the code'
	@echo 'make openapi  writes openapi.yaml anew from the types'
	@echo 'make settings  writes docs/settings.md anew from the flags'
	@echo 'make image    the images, headless and headful, with their sizes'
	@echo 'make microvm  what a microVM boots, made of the headless image'
	@echo 'make e2e-image  the images, and the tests that run them'
	@echo 'make bench-image  the performance rows of the images that are there'

run: runtime build
	@scripts/dev run

up: runtime build
	@scripts/dev up

down:
	@scripts/dev down

runtime:
	@scripts/install images/packages/runtime.txt images/packages/dev.txt

build:
	@scripts/install images/packages/build.txt
	cargo build --release --locked -p browserd

test:
	@scripts/install images/packages/runtime.txt images/packages/build.txt e2e/packages.txt \
		bench/packages.txt
	@scripts/clients
	cargo build --workspace --bins --locked
	cargo test --workspace --locked --no-fail-fast

# The daemon and its readers at the speed of a release.
soak:
	@scripts/install images/packages/build.txt e2e/packages.txt
	cargo build --release --locked -p browserd
	PROCESS_TEST_SECONDS=60 PROCESS_TEST_BYTES=1073741824 E2E_PATIENCE=10 \
		cargo test --release --locked -p browserd-e2e --test suite -- streams::

fuzz:
	@scripts/install images/packages/build.txt crates/files/fuzz/packages.txt
	@scripts/fuzz

bench:
	@scripts/install images/packages/runtime.txt images/packages/build.txt e2e/packages.txt \
		bench/packages.txt
	@scripts/clients
	cargo build --release --locked -p browserd
	cargo run --release --locked -p browserd-bench -- $(BENCH_ARGS)

lint:
	@scripts/install images/packages/build.txt bench/packages.txt scripts/packages.txt
	@scripts/lint

fmt:
	cargo fmt --all

settings:
	cargo run --quiet --locked -p browserd -- settings > docs/settings.md.new
	mv docs/settings.md.new docs/settings.md

openapi:
	cargo run --quiet --locked -p browserd -- openapi > openapi.yaml.new
	mv openapi.yaml.new openapi.yaml

image:
	@images/engine images/build

microvm:
	@images/engine images/microvm/build

e2e-image:
	@images/engine images/e2e

bench-image:
	@images/engine images/bench $(BENCH_ARGS)
