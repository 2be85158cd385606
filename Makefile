# Everything a developer runs. A fresh machine needs Python 3.11 or newer and make; the rest is set up here.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PROTOS := $(shell find proto -name '*.proto')
PACKAGES := libs services cli
COMPILED_TESTS := services/proxy/tests libs/calling/tests libs/providers/tests libs/routing_core/tests libs/ledger/tests/test_table.py \
  libs/bus/tests/test_journal.py services/replay/tests/test_simulate.py services/replay/tests/test_carry.py services/replay/tests/test_courses.py \
  tests/conformance tests/badinput tests/integration/test_replay_equals_live.py
# These replace objects or methods of compiled classes, or inherit from them, which only the interpreted form allows.
INTERPRETED_TESTS := --ignore services/proxy/tests/test_spend_hygiene.py \
  --deselect libs/calling/tests/test_caller.py::test_every_byte_follows_a_reservation_of_its_own \
  --deselect libs/routing_core/tests/ledger/test_simulation.py::test_the_simulation_finds

.PHONY: help run test test-nightly check format proto docs lock kafka compiled test-compiled bench-proxy bench-ingest bench-load bench-ledger bench-projection bench-judge bench-replay clean

help: ## Show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	touch $@

run: $(READY) ## Start the product with simulated providers and demo traffic
	$(BIN)/modelux up --demo

test: $(READY) kafka ## Every test that belongs to a change
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not nightly" $(ARGS)

test-nightly: $(READY) kafka test-compiled ## All tests, the slow ones too, and those of the compiled form
	MODELUX_HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --timeout 1500 $(ARGS)

check: $(READY) ## Lint, types, layers, protocol files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(PACKAGES)
	$(BIN)/lint-imports
	$(BIN)/buf lint
	$(BIN)/python tests/proto_check.py --bin $(BIN)

format: $(READY) ## Format and sort imports
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

proto: $(READY) ## Generate the protocol code
	$(BIN)/python -m grpc_tools.protoc -Iproto --python_out=libs/contracts --pyi_out=libs/contracts --grpc_python_out=libs/contracts $(PROTOS)

docs: $(READY) ## Render the tables of the documentation from the registries
	$(BIN)/python docs/render.py

lock: $(READY) ## Resolve the dependencies anew
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --group dev --generate-hashes --no-emit-index-url --no-header pyproject.toml -o requirements.lock

kafka: $(READY) ## Fetch Apache Kafka's jars for the tests (they skip without)
	-@$(BIN)/python libs/bus/tests/kafka_jars.py .kafka

compiled: $(READY) ## Copy the packages to build/compiled, their hot path compiled
	$(BIN)/python packaging/compile.py

test-compiled: compiled ## The tests of what is compiled, against the compiled form
	PYTHONPATH=$(CURDIR)/build/compiled $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not nightly" $(COMPILED_TESTS) \
	  $(INTERPRETED_TESTS) $(ARGS)

bench-proxy: compiled ## One JSON line: the proxy against nginx on one core
	$(BIN)/python bench/proxy.py

bench-ingest: $(READY) ## One JSON line: bus to queryable row
	$(BIN)/python bench/ingest.py

bench-load: $(READY) ## One JSON line: 20,000 requests through the whole product while a provider fails
	$(BIN)/python bench/load.py

bench-ledger: $(READY) ## One JSON line: budgets reserved and granted, and a cap held while a proxy is killed
	$(BIN)/python bench/ledger.py

ROWS ?= 50000
bench-replay: compiled ## One JSON line: ROWS logged requests replayed against a candidate, from the log to rows to query
	PYTHONPATH=$(CURDIR)/build/compiled $(BIN)/python bench/replay.py $(ROWS)

bench-projection: $(READY) ## One JSON line: projected cost and latency against real calls in DATA=folder with requests.csv
	$(BIN)/python bench/projection.py $(DATA)

bench-judge: $(READY) ## One JSON line: a judge's intervals, anchors, alarms and steering against DATA=folder with llmbar/
	$(BIN)/python bench/judge.py $(DATA)

clean: ## Remove what the targets made
	rm -rf $(VENV) build .kafka .mypy_cache .ruff_cache .pytest_cache .hypothesis
