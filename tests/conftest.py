"""What every test run has: a printed seed, tools that must be there, and the page that the runs write."""

from __future__ import annotations

import gc
import os
import random
import shutil
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import HealthCheck, settings

from tests.support import compatibility
from tests.support.compatibility import Results
from tests.support.java import CLASS_PATHS, CLIENT_VERSIONS, cache_dir, client_classes, jars
from tests.support.processes import MissingToolError, tool
from tests.support.real_cluster import RealClusters


class _Worker(Protocol):
    """What pytest-xdist makes of a process before it starts it."""

    workerinput: dict[str, int]


SEED = int(os.environ.pop("HBEACON_TEST_SEED", "") or random.SystemRandom().randrange(2**32))
"""Taken out: servers that tests start would warn of a variable that is none of their settings."""


if sys.dont_write_bytecode:
    # Hundreds of processes are started, and each would compile all of it anew: byte code lies outside of the tree then.
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(cache_dir() / "byte-code")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix

# No deadlines for single examples, nor for making them: a busy machine is no bug. The test as a whole has pytest's.
settings.register_profile("hbeacon", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("hbeacon")

gc.disable()
"""While modules are imported and tests collected: next to nothing of that is garbage, and all of it would be looked
through again and again."""


IN_MEMORY = Path("/dev/shm")
IN_MEMORY_BYTES_MIN = 2 << 30


def pytest_configure(config: pytest.Config) -> None:
    """Directories of plain tests lie in memory, where there is room: a disk that others use takes long for an fsync.

    Their processes may die, the machine does not; what is lost with it is looked for by the simulations of crashes.
    """
    if "not chaos" not in config.option.markexpr or "PYTEST_DEBUG_TEMPROOT" in os.environ or not IN_MEMORY.is_dir():
        return
    if os.access(IN_MEMORY, os.W_OK) and shutil.disk_usage(IN_MEMORY).free >= IN_MEMORY_BYTES_MIN:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(IN_MEMORY)


def pytest_collection_finish() -> None:
    """From now on garbage is looked for among what tests make: what is here stays until the end."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_report_header() -> str:
    """The seed of this run; give it back in HBEACON_TEST_SEED to run the same again."""
    return f"HBEACON_TEST_SEED={SEED}"


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: _Worker) -> None:
    """Each process of pytest-xdist draws from the seed that was printed, and not from one of its own."""
    node.workerinput["seed"] = SEED


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> int:
    """The printed one."""
    workerinput: dict[str, int] = getattr(pytestconfig, "workerinput", {})
    return workerinput.get("seed", SEED)


@pytest.fixture(autouse=True)
def _seeded(seed: int) -> None:
    random.seed(seed)


@pytest.fixture
def rng(seed: int) -> random.Random:
    """A source of its own for each test, from the printed seed."""
    return random.Random(seed)


def _cluster_tools() -> None:
    for name in ("java", "javac", "ip", "nsenter", "setpriv"):
        tool(name)
    for path in CLASS_PATHS:
        jars(path)
    for version in CLIENT_VERSIONS:
        client_classes(version)


def _zookeeper_tools() -> None:
    from tests.support.zookeeper import debian, maven

    tool("java")
    debian()
    maven()


NEEDS: dict[str, Callable[[], None]] = {"zookeeper": _zookeeper_tools, "cluster": _cluster_tools}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is quick to fail comes first, and the clusters live only while someone asks for them."""
    order = {"zookeeper": 1, "chaos": 2, "cluster": 3}
    items.sort(key=lambda item: max((order.get(marker.name, 0) for marker in item.iter_markers()), default=0))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A tool that is not here fails the test that needs it, in one sentence: a skipped proof would look like one."""
    missing = ""
    for marker, check in NEEDS.items():
        if item.get_closest_marker(marker) is not None:
            try:
                check()
            except MissingToolError as error:
                missing = str(error)
    if missing:
        pytest.fail(missing, pytrace=False)


@pytest.fixture(scope="session")
def results() -> Generator[Results]:
    """Rows for docs/compatibility.md, written when the run ends."""
    loaded = compatibility.load()
    yield loaded
    if loaded.changed:
        loaded.save()


@pytest.fixture(scope="session")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Generator[RealClusters]:
    """Real HBase clusters and the clients' network, started when first asked for and shared by the whole run."""
    started = RealClusters(tmp_path_factory.mktemp("clusters"))
    try:
        yield started
    finally:
        started.close()
