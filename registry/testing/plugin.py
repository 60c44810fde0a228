"""The pytest plugin: fixtures that give clusters.

Every pytest loads it where hbeacon is installed: it imports next to nothing until a test asks for a cluster.

    def test_rows_come_back(hbeacon): ...              a cluster for this test alone
    @pytest.mark.hbeacon(region_servers=2)             made otherwise
    def test_more(hbeacon_session): ...                one for all tests of the session that ask for it
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from registry.testing.cluster import Cluster
    from registry.testing.options import ClusterOptions
    from registry.testing.zygote import Zygote

FIXTURES = frozenset({"hbeacon", "hbeacon_session", "hbeacon_start"})
REPORTED_LINES = 40
INI: dict[str, tuple[str, str]] = {
    "region_servers": ("string", "region servers of each cluster (1)"),
    "masters": ("string", "masters of each cluster (1)"),
    "engine": ("string", "what keeps rows: memory, or rocksdb for tests that kill region servers (memory)"),
    "pages": ("bool", "open pages and HTTP API of each server (false)"),
    "log_level": ("string", "log level of clusters (info)"),
    "start_timeout_s": ("string", "seconds that a cluster may take to start (30)"),
    "settings": ("linelist", "settings of each cluster, KEY=VALUE a line"),
}
"""Option of a cluster to the type of its ini key, which has `hbeacon_` before it, and its sentence."""
_ZYGOTE = pytest.StashKey["Zygote"]()
_CLUSTERS = pytest.StashKey[dict["Cluster", int]]()
"""Of a test: its clusters, and how long their logs were when it began."""
_SHARED = pytest.StashKey[list["Cluster"]]()
"""Of the session: those that `hbeacon_start` has started."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The ini keys."""
    for name, (kind, sentence) in INI.items():
        parser.addini(f"hbeacon_{name}", f"hbeacon: {sentence}", type=kind, default=None)  # pyright: ignore[reportArgumentType]


def pytest_configure(config: pytest.Config) -> None:
    """The marker."""
    config.addinivalue_line(
        "markers",
        "hbeacon(region_servers=1, masters=1, engine='memory', pages=False, settings={...}): what the cluster of the"
        " fixture `hbeacon` is made of",
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Load what forks clusters while the first tests run, where there are tests that will need it."""
    if session.config.option.collectonly:
        return
    if any(not FIXTURES.isdisjoint(getattr(item, "fixturenames", ())) for item in session.items):
        _zygote(session.config).begin()


def pytest_unconfigure(config: pytest.Config) -> None:
    """End what forks clusters, and whatever of them a crash of the session has left."""
    zygote = config.stash.get(_ZYGOTE, None)
    if zygote is not None:
        del config.stash[_ZYGOTE]
        zygote.close()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Of clusters that tests share, what is logged from now on is this test's."""
    if shared := _shared(item):
        item.stash[_CLUSTERS] = {cluster: cluster.logs.size_bytes for cluster in shared}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails shows the end of what its clusters have logged meanwhile."""
    report = yield
    if report.failed:
        began = {cluster: cluster.logs.ready_bytes for cluster in _shared(item)}
        if _CLUSTERS in item.stash:
            began |= item.stash[_CLUSTERS]
        for cluster, began_bytes in began.items():
            if lines := cluster.logs.since(began_bytes)[-REPORTED_LINES:]:
                report.sections.append((f"log of {cluster!r} ({call.when})", "\n".join(lines)))
    if call.when == "teardown" and _CLUSTERS in item.stash:
        del item.stash[_CLUSTERS]  # pytest keeps the item until the end of the session
    return report


def _shared(item: pytest.Item) -> list[Cluster]:
    """Clusters that it may use and others too."""
    uses_them = "hbeacon_start" in getattr(item, "fixturenames", ())
    return item.config.stash[_SHARED] if uses_them and _SHARED in item.config.stash else []


@pytest.fixture(scope="session")
def hbeacon_start(pytestconfig: pytest.Config) -> Generator[Callable[..., Cluster]]:
    """A function that starts clusters: takes the marker's options, gives what the fixture `hbeacon` gives.

    For fixtures of other scopes; what was not closed is closed at the end of the session.
    """
    started: list[Cluster] = pytestconfig.stash.setdefault(_SHARED, [])

    def start(*, seed: int = 0, **options: Any) -> Cluster:
        cluster = _start(pytestconfig, options, seed)
        started.append(cluster)
        return cluster

    yield start
    for cluster in reversed(started):
        cluster.close()


@pytest.fixture(scope="session")
def hbeacon_session(hbeacon_start: Callable[..., Cluster]) -> Cluster:
    """One cluster for all tests that ask for it, made as the ini file says."""
    return hbeacon_start()


@pytest.fixture
def hbeacon(request: pytest.FixtureRequest) -> Generator[Cluster]:
    """A cluster for one test, empty, made as its markers and the ini file say."""
    options: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers("hbeacon"))):  # the nearest comes last, and wins
        if marker.args:
            pytest.fail(
                "hbeacon: the options of the marker hbeacon have names: hbeacon(region_servers=2)", pytrace=False
            )
        options |= marker.kwargs
    cluster = _start(request.config, options, zlib.crc32(request.node.nodeid.encode()))
    request.node.stash.setdefault(_CLUSTERS, {})[cluster] = cluster.logs.ready_bytes
    try:
        yield cluster
    finally:
        cluster.close()


def _start(config: pytest.Config, options: dict[str, Any], seed: int) -> Cluster:
    """Start a cluster, or fail the test with one clear sentence and the end of the log."""
    from registry.testing.cluster import Cluster
    from registry.testing.options import BadOption, ClusterOptions
    from registry.testing.zygote import ClusterError

    try:
        return Cluster(_zygote(config), ClusterOptions.of(options, _of_ini(config)), seed)
    except (BadOption, ClusterError) as error:
        problem = str(error)
    pytest.fail(f"hbeacon: {problem}", pytrace=False)  # outside of the handler: the sentence is all there is to see


def _of_ini(config: pytest.Config) -> ClusterOptions:
    from registry.testing.options import BadOption, ClusterOptions

    given: dict[str, Any] = {}
    for name, (kind, _) in INI.items():
        value = config.getini(f"hbeacon_{name}")
        if value in (None, "", []):
            continue
        try:
            given[name] = _read(name, kind, value)
        except ValueError:
            raise BadOption(f"hbeacon_{name} = {value!r}: write a number") from None
    return ClusterOptions.of(given)


def _read(name: str, kind: str, value: Any) -> Any:
    if kind == "linelist":
        pairs = [line.partition("=") for line in value]
        return {key.strip(): text.strip() for key, _, text in pairs}
    if name in ("region_servers", "masters"):
        return int(value)
    return float(value) if name == "start_timeout_s" else value


def _zygote(config: pytest.Config) -> Zygote:
    from registry.testing.zygote import Zygote

    if _ZYGOTE not in config.stash:
        config.stash[_ZYGOTE] = Zygote()
    return config.stash[_ZYGOTE]
