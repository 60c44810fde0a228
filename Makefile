VENV ?= .venv
BIN = $(abspath $(VENV))/bin
# tools such as pyright look for `python` on the path
export PATH := $(BIN):$(PATH)

.PHONY: demo test setup check lint plain zookeeper cluster with-clusters without-clusters chaos campaign campaign-chaos generated soak side-by-side bench protos compiled tested

# the two that the README names
demo: ; python3 deploy/demo.py
# Lint beside the plain tests. Then other processes of tests, for threads that look after real servers would draw from
# the random source that Hypothesis replays: two, which mostly wait for what they have started.
test: setup
	$(MAKE) -j2 --output-sync=target lint plain
	$(MAKE) -j2 --output-sync=target with-clusters without-clusters

setup: ; VENV=$(VENV) tests/setup.sh
check: lint plain
lint: ; ruff check . && ruff format --check . && pyright && lint-imports && python protos/generate.py --check
plain: ; python -m pytest -n 2
zookeeper: ; python -m pytest -m "zookeeper and not cluster"
cluster: ; python -m pytest -m "cluster"
with-clusters: ; python -m pytest -m cluster --durations=15
without-clusters: ; python -m pytest -m "(zookeeper or chaos or compiler) and not cluster" --durations=15
chaos: ; python -m pytest -m "chaos"
# the hot path by mypyc, into build/compiled
compiled: ; python deploy/compile.py
# many seeds of the simulations, a thousandth of them of real processes; a plain run takes the first few
campaign: ; python -m tests.sim.campaign --seeds $(or $(SEEDS),4000)
# every test that Hypothesis feeds, with many more examples than a plain run has
generated: ; HBEACON_EXAMPLES=$(or $(EXAMPLES),2000) python -m pytest --timeout 1800 -m "hypothesis and not zookeeper and not cluster and not chaos"
# only those of real processes: killed, stopped, moved from, masters too
campaign-chaos: ; python -m tests.sim.campaign --chaos --seeds $(or $(SEEDS),20) --minutes $(or $(MINUTES),15)
# an hour of clients beside faults; `make soak MINUTES=10 SEED=7`
soak: ; python -m benchmarks.soak --minutes $(or $(MINUTES),60) --seed $(or $(SEED),1)
# generated histories on a real HBase and on a region of ours
side-by-side: ; HBEACON_EXAMPLES=$(or $(EXAMPLES),2000) python -m pytest -m cluster tests/cluster/test_side_by_side.py
# a thousand tests with a cluster each, in one session: nothing may be left, nothing may grow
tested: ; python -m benchmarks.fixture --tests $(or $(TESTS),1000)
bench: ; for each in registry coordinator dev fixture facade subscribers race data_path python_rows; do python -m benchmarks.$$each || exit 1; done
protos: ; python protos/generate.py
