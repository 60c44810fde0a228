VENV ?= .venv
BIN = $(abspath $(VENV))/bin
# tools such as pyright look for `python` on the path
export PATH := $(BIN):$(PATH)

.PHONY: setup check test plain zookeeper cluster chaos

setup: ; VENV=$(VENV) tests/setup.sh
check: lint plain
lint: ; ruff check . && ruff format --check . && pyright && lint-imports && python protos/generate.py --check
plain: ; python -m pytest
zookeeper: ; python -m pytest -m "zookeeper and not cluster"
cluster: ; python -m pytest -m "cluster"
chaos: ; python -m pytest -m "chaos"
# one run, one closing line: everything that needs a server, after everything that does not
test: lint ; python -m pytest -m "" --durations=15
