"""Nonces of one server: what comes again while the first is under way, and when what has ended is forgotten."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from regionserver.client_service.nonces import Nonces, Seen
from registry.wire.errors import IOException, RegionTooBusyException

NONCE = (3, 4)


class Operation:
    """One that comes again and again; each time it runs it is told what to do."""

    def __init__(self) -> None:
        self.nonces = Nonces()
        self.under_way: list[Callable[[bool], None]] = []
        self.told = 0
        self.refused: list[Exception] = []

    def comes(self, *, raises: Exception | None = None, says: bool | None = None) -> None:
        """`says`: whether it was done, before it raises."""

        def run(ended: Callable[[bool], None]) -> None:
            self.under_way.append(ended)
            if says is not None:
                ended(says)
            if raises is not None:
                raise raises

        def tell() -> None:
            self.told += 1

        self.nonces.once(NONCE, 0.0, run, tell, self.refused.append)


@pytest.mark.parametrize("error", [RegionTooBusyException("busy"), ValueError("nobody has thought of it")])
def test_what_raises_may_be_done_when_it_comes_again(error: Exception):
    operation = Operation()
    with pytest.raises(type(error)):
        operation.comes(raises=error)
    assert len(operation.nonces) == 0
    operation.comes()
    operation.under_way[0](True)
    assert operation.nonces.begin(NONCE, 0.0) is Seen.RUNNING, "the first has ended, and this one has not"
    operation.under_way[1](True)
    operation.comes()
    assert (len(operation.under_way), operation.told) == (2, 1)


def test_what_raises_behind_its_end_has_ended_as_it_said():
    operation = Operation()
    with pytest.raises(ValueError, match="behind"):
        operation.comes(raises=ValueError("behind"), says=True)
    operation.comes()
    assert (len(operation.under_way), operation.told) == (1, 1)


def test_those_that_wait_are_told_each_for_itself():
    """The second and the third run when the one before has failed, the fourth when they have too."""
    operation = Operation()
    operation.comes()
    operation.comes(raises=ValueError("nobody has thought of it"))
    operation.comes(raises=RegionTooBusyException("busy"))
    operation.comes()
    operation.under_way[0](False)
    assert [type(each) for each in operation.refused] == [IOException, RegionTooBusyException]
    assert "ValueError: nobody has thought of it" in str(operation.refused[0])
    operation.under_way[3](True)
    operation.comes()
    assert (len(operation.under_way), operation.told) == (4, 1)
