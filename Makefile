# Front door. CMake knows how to build; this file brings in what it needs and runs what comes out.

SETUP := cmake/setup.sh
CMAKE_ARGS :=
TEST_ARGS :=
BUILD := build/release
PREFIX := /usr/local

.PHONY: build install run test record-check bindings format clean help setup configure

build: configure  ## the library and the tool, build/release/bin/baracuda
	cmake --build $(BUILD) --target baracuda baracuda_tool

install: build  ## headers, library and tool, for CMake and pkg-config; PREFIX=... for elsewhere than /usr/local
	cmake --install $(BUILD) --prefix $(PREFIX)

run: build  ## shows this machine as baracuda sees it, and checks every plan on it
	$(BUILD)/bin/baracuda info
	$(BUILD)/bin/baracuda verify --quick

test: configure  ## everything; TEST_ARGS="--suite unit --device cpu" for less
	cmake --build $(BUILD)
	python3 tests/run_tests.py $(TEST_ARGS)

record-check: build  ## is the GPU record, tests/gpu/record.json, of these sources?
	python3 tests/gpu/record.py check

bindings: configure  ## writes anew what the C header and the Python package have of the plans' fields
	cmake --build $(BUILD) --target baracuda_bindings
	$(BUILD)/bin/baracuda_bindings baracuda/capi/baracuda_c.h baracuda/capi/first_sizes.def
	$(BUILD)/bin/baracuda_bindings --json | python3 tools/bindings/python.py .

format:  ## clang-format over all sources
	git ls-files '*.h' '*.c' '*.cc' '*.cuh' | xargs clang-format -i

clean:  ## removes what was built, keeps what was fetched
	rm -rf $(BUILD) build/asan build/tsan build/python build/gpu-python

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*##/\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup:
	@$(SETUP)

configure: setup
	cmake --preset release $(CMAKE_ARGS)
