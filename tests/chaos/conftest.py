"""What several of these modules share."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.support.new_connections import Unguarded
from tests.support.real_cluster import RealClusters


@pytest.fixture(scope="session")
def unguarded(clusters: RealClusters) -> Generator[Unguarded]:
    """Begun by the tests of hung adapters, looked at by test_registry_unguarded: it takes two minutes of waiting."""
    started = Unguarded(clusters)
    yield started
    started.close()
