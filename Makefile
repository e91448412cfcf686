# SPDX-License-Identifier: Apache-2.0
# The doors: make run, make test, make check, make bench, make examples, make install.
SHELL := /bin/bash
.DEFAULT_GOAL := help
ARGS ?=
PREFIX ?= /usr/local
DESTDIR ?=
JOBS ?= $(shell nproc)
RELEASE := build/release
.PHONY: help run release examples test check bench install format clean

help:
	@echo "make run      install what is missing, build, serve the chatroom on http://127.0.0.1:8080"
	@echo "              (options: make run ARGS=\"--listen 127.0.0.1:9000\")"
	@echo "make test     every test; ends in 'N passed, N failed'"
	@echo "make check    make test, sanitizers, fuzz smoke, install checks (what CI runs)"
	@echo "make bench    Rondo and its peers side by side (make bench WORKLOADS=\"W1 W5\")"
	@echo "make examples the short programs, into $(RELEASE)/examples"
	@echo "make install  what is missing, build, and into DESTDIR= PREFIX=$(PREFIX)"
	@echo "make format   clang-format over the C++ sources"
	@echo "make clean    remove build/"

run:
	@tools/bootstrap run
	@$(MAKE) --no-print-directory release
	@exec $(RELEASE)/bin/rondo chat $(if $(findstring --data,$(ARGS)),,--data data) $(ARGS)

release: $(RELEASE)/build.ninja
	@cmake --build $(RELEASE) -j $(JOBS)

$(RELEASE)/build.ninja: CMakePresets.json
	@cmake --preset release

examples:
	@tools/bootstrap run
	@cmake --preset release -DRONDO_EXAMPLES=ON >/dev/null
	@cmake --build $(RELEASE) -j $(JOBS) --target rondo_examples
	@echo "in $(RELEASE)/examples: $$(ls $(RELEASE)/examples | grep -c '^[0-9]') programs"

test:
	@tools/bootstrap test
	@tools/check test

check:
	@tools/bootstrap test
	@tools/check check

bench:
	@tools/bootstrap bench
	@$(MAKE) --no-print-directory release
	@bench/peers/compare $(WORKLOADS)

install:
	@tools/bootstrap run
	@$(MAKE) --no-print-directory release
	@cmake --install $(RELEASE) --prefix "$(PREFIX)"

format:
	@git ls-files '*.cpp' '*.hpp' | xargs clang-format-19 -i

clean:
	rm -rf build
