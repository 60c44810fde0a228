"""Whether this process acts as master now, and in whose name: the epoch, and the tokens that every action carries.

The epoch is the czxid of the `/hbase/master` that this master created: every later master has a higher one, as long as
ZooKeeper is the same. What leaves this process carries it above a base that outlives ZooKeeper (epoch_base). A master
acts while its node is known to be there and its lease holds. Both may end between the start of an action and its
effect, above all when the process stood still in between; so an action takes a token at its start and has it checked
right before it takes effect.
"""

from __future__ import annotations

from registry.clock import Clock
from registry.wire.epoch import MasterEpoch, known_epoch
from registry.wire.errors import HBaseError
from registry.zk.lease import Lease


class NotActing(Exception):
    """The master does not act, or not any more in the name that was meant; `str()` says why."""


class Deposed(NotActing):
    """Somebody has heard of a later master, or of one before ZooKeeper was lost; `known` is the epoch of that one."""

    def __init__(self, text: str, known: int) -> None:
        super().__init__(text)
        self.known = known


def raise_deposed(error: HBaseError) -> None:
    """Raise Deposed where that is what a region server has answered."""
    known = known_epoch(error.message)
    if known is not None:
        raise Deposed(error.message, known) from error


class Mastership:
    """Of one process, over all its lives as a candidate. Belongs to the loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lease = Lease()
        self._epoch = 0
        self._in_doubt = False
        self._why = "not elected"
        self._name = ""
        self.elections = 0
        """How often this process became the active master."""
        self.since_ms = clock.monotonic_ms()
        """When `epoch` last changed, on the monotonic clock."""

    @property
    def epoch(self) -> int:
        """Czxid of our `/hbase/master`; 0 while there is none that we know of."""
        return self._epoch

    @property
    def is_acting(self) -> bool:
        """Whether an action may begin at this moment."""
        return not self.why_not()

    def lease_left_ms(self) -> float:
        """For how long this master may act without another answer of ZooKeeper; 0 when it may not."""
        return max(0.0, self._lease.left_ms(self._clock.monotonic_ms()))

    def why_not(self) -> str:
        """Why no action may begin; empty where it may."""
        if not self._epoch:
            return self._why
        if self._in_doubt:
            return "connected anew and has not seen yet whether its node is still there"
        if not self._lease.holds(self._clock.monotonic_ms()):
            return "has not heard from ZooKeeper for two thirds of the session time-out"
        return ""

    def token(self) -> Token:
        """For one action. Raises NotActing."""
        token = Token(self, self._epoch, MasterEpoch(self._epoch, self._name))
        token.check()
        return token

    # --- what the election tells --------------------------------------------------------------------------------

    def begin(self, epoch: int, lease: Lease, name: str = "") -> None:
        """Our node is there, with this czxid; `lease` is that of its session, `name` that of this life."""
        assert epoch > 0, "a znode has a czxid"
        if epoch != self._epoch:
            self.elections += 1
            self.since_ms = self._clock.monotonic_ms()
        self._epoch, self._lease, self._name, self._in_doubt, self._why = epoch, lease, name, False, ""

    def doubt(self) -> None:
        """There is another connection: watches are gone, so our node may be, too."""
        self._in_doubt = True

    def end(self, why: str) -> None:
        """Our node is gone, or the session that holds it is."""
        if self._epoch:
            self.since_ms = self._clock.monotonic_ms()
        self._epoch, self._in_doubt, self._why = 0, False, why


class Token:
    """The right to one action in the name of one epoch, to be checked right before the action takes effect."""

    __slots__ = ("_mastership", "epoch", "in_name")

    def __init__(self, mastership: Mastership, epoch: int, in_name: MasterEpoch) -> None:
        self._mastership = mastership
        self.epoch = epoch
        """Czxid of our `/hbase/master`."""
        self.in_name = in_name
        """Goes with every order that leaves this process: whoever has seen a higher one refuses it."""

    def above(self, epoch: int) -> Token:
        """The same right, in the name of a later epoch than this one."""
        return Token(self._mastership, self.epoch, MasterEpoch(epoch + self.epoch, self.in_name.master))

    def check(self) -> None:
        """Raise NotActing when this master does not act any more in the name of this epoch."""
        why = self._mastership.why_not()
        if not why and self._mastership.epoch != self.epoch:
            why = f"acts as 0x{self._mastership.epoch:x} now"
        if why:
            raise NotActing(f"this master may not act as 0x{self.epoch:x}: it {why}")
