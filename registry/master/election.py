"""One candidate in the election of the active master: events in, effects out.

As HBase elects: an ephemeral znode below `backup-masters`, then an attempt to create the ephemeral `master`; who
succeeds leaves `backup-masters` and is active, who fails watches `master` and tries again when it is gone. A `master`
of an earlier life of the same host and port is removed, and so, which HBase leaves to the end of its session, is what
such a life left below `backup-masters`. Three things are stricter than in HBase:

* The answer to a create is not believed, what is read after it is: a create whose answer was lost looks like one that
  somebody else won, until the owner of the znode is seen.
* `master` is created in one transaction with a write of the mark, whose version thereby counts its lives. An earlier
  life is removed only if that version has not moved since: ZooKeeper knows no condition on a czxid, and a delete of
  what was read a moment ago may hit the znode of a master that was elected meanwhile.
* An active master whose znode is gone is active no more; HBase's goes on until its session ends.

A candidate is one session and one start code. It ends once, for good; the next one has a new session and start code.

Source: ActiveMasterManager.blockUntilBecomingActiveMaster, handleMasterNodeChange; HMaster.startActiveMasterManager.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from registry.lookup.snapshot import Master
from registry.names import ServerName
from registry.wire.error_base import ProtocolError
from registry.wire.znode import decode_master
from registry.zk.paths import ZNodePaths
from registry.zk.requests import Check, Children, Create, Delete, Get, Multi, Reply, Request, Result, SetData


@dataclass(frozen=True, slots=True)
class Ask:
    """Send this, and hand the reply in with the ticket."""

    ticket: int
    request: Request


@dataclass(frozen=True, slots=True)
class BecomeActive:
    """Our `master` is there. Told again after each connection on which it was seen to be there still."""

    epoch: int
    """Its czxid."""


@dataclass(frozen=True, slots=True)
class StandBy:
    """Somebody else is active; None where the znode cannot be read as a master's."""

    active: ServerName | None


@dataclass(frozen=True, slots=True)
class Doubt:
    """Whether our `master` is still there is not known: do not act until `BecomeActive` is told again."""


@dataclass(frozen=True, slots=True)
class End:
    """The candidate is over; stop acting before anything else is done. The session must be closed."""

    reason: str


Effect = Ask | BecomeActive | StandBy | Doubt | End


@dataclass(frozen=True, slots=True)
class Standing:
    """Who stands, and what its znodes hold."""

    paths: ZNodePaths
    master: Master
    data: bytes
    """Of both `master` and the child of `backup-masters`, with envelope."""
    mark_path: str
    mark_data: bytes

    @property
    def backup_path(self) -> str:
        """Where a standby shows itself."""
        return self.paths.child(self.paths.backup_masters, str(self.master.server_name))


class Candidate:
    """Pure. Feed it in the order in which things happen; it has one request under way at most."""

    def __init__(self, standing: Standing, session_id: int) -> None:
        self.standing = standing
        self.session_id = session_id
        self.epoch = 0
        """Of our `master`, as last seen; 0 while it is not ours."""
        self.ended = False
        self._tickets = 0
        self._waiting_for = 0
        """Ticket of the request under way; 0 without one."""
        self._then: Callable[[Reply], list[Effect]] = self._registered
        self._connected = False
        self._look_again = False
        """A watch has fired while a request was under way."""
        self._earlier = 0
        """czxid of an earlier life's `master` that is about to be removed."""
        self._mark_version = 0
        self._tidied = False
        """Nothing of earlier lives is left below `backup-masters`, as far as that matters."""
        self._tidying = False
        """The request under way is for that alone, so that nothing depends on how it ends."""

    # --- events -------------------------------------------------------------------------------------------------

    def connected(self) -> list[Effect]:
        """A connection of our session, caught up with the leader; watches of the one before are gone."""
        self._connected = True
        self._look_again = False
        if self.ended:
            return []
        if self.epoch:
            return [Doubt(), *self._read_master()]
        create = Create(self.standing.backup_path, self.standing.data, ephemeral=True)
        return self._ask(create, self._registered)

    def suspended(self) -> list[Effect]:
        """The connection is lost. The lease says for how long an active master goes on."""
        self._connected = False
        self._waiting_for = 0
        return []

    def session_ended(self, reason: str) -> list[Effect]:
        """ZooKeeper has ended the session, or we have given it up."""
        self._connected = False
        return self._end(reason)

    def fired(self, path: str) -> list[Effect]:
        """A watch on `path` has fired."""
        if self.ended or not self._connected or path != self.standing.paths.master:
            return []
        if self._waiting_for:
            self._look_again = True
            return []
        return self._read_master()

    def answered(self, ticket_number: int, reply: Reply) -> list[Effect]:
        """The reply to an `Ask`; one that is not waited for any more counts for nothing."""
        if self.ended or ticket_number != self._waiting_for:
            return []
        self._waiting_for = 0
        if reply.result is Result.LOST:
            return []  # a new connection begins anew
        if reply.result in (Result.NO_AUTH, Result.FAILED) and not self._tidying:
            return self._end(f"ZooKeeper refuses what an election needs: {reply.problem or reply.result.value}")
        effects = self._then(reply)
        if self._look_again and not self._waiting_for and not self.ended:
            self._look_again = False
            effects += self._read_master()
        return effects

    # --- steps: what follows on a reply -------------------------------------------------------------------------

    def _registered(self, reply: Reply) -> list[Effect]:
        if reply.result is Result.NO_NODE:
            return self._end("the znodes of the cluster are gone")
        return self._contend()  # where it exists already, an answer was lost: the name holds our start code

    def _contended(self, reply: Reply) -> list[Effect]:
        if reply.result is Result.NO_NODE:
            return self._end("the znodes of the cluster are gone")
        return self._read_master()

    def _master_read(self, reply: Reply) -> list[Effect]:
        if reply.result is Result.NO_NODE:
            return self._end("its znode was removed by somebody else") if self.epoch else self._contend()
        assert reply.stat is not None, "a read brings the Stat"
        if reply.stat.ephemeral_owner == self.session_id:
            return self._is_ours(reply.stat.czxid)
        if self.epoch:
            return self._end("another master has been elected")
        active = _name(reply.data)
        if active is not None and active.address == self.standing.master.server_name.address:
            return self._earlier_life(reply.stat.czxid)
        self._earlier = 0
        return [StandBy(active), *self._tidy()]

    def _is_ours(self, czxid: int) -> list[Effect]:
        if self.epoch and self.epoch != czxid:
            return self._end("its znode was removed and made again")
        self.epoch = czxid
        return [BecomeActive(czxid), *self._ask(Delete(self.standing.backup_path), self._left_backups)]

    def _left_backups(self, reply: Reply) -> list[Effect]:
        del reply  # whether it was there still or not
        return self._tidy()

    def _earlier_life(self, czxid: int) -> list[Effect]:
        """Read the mark's version, then `master` again; where it is the same one, no election lies in between."""
        if self._earlier != czxid:
            self._earlier = czxid
            return self._ask(Get(self.standing.mark_path), self._mark_read)
        delete = Multi((Check(self.standing.mark_path, self._mark_version), Delete(self.standing.paths.master)))
        self._earlier = 0
        return self._ask(delete, self._earlier_removed)

    def _mark_read(self, reply: Reply) -> list[Effect]:
        if reply.stat is None:
            return self._end("the mark of the cluster is gone")
        self._mark_version = reply.stat.version
        return self._read_master()

    def _earlier_removed(self, reply: Reply) -> list[Effect]:
        return self._contend() if reply.ok else self._read_master()

    # --- what an earlier life left below backup-masters ---------------------------------------------------------

    def _tidy(self) -> list[Effect]:
        if self._tidied:
            return []
        return self._ask(Children(self.standing.paths.backup_masters), self._backups_read, tidying=True)

    def _backups_read(self, reply: Reply) -> list[Effect]:
        mine = self.standing.master.server_name
        return self._remove([name for name in reply.children if _is_earlier(name, mine)])

    def _remove(self, names: list[str]) -> list[Effect]:
        if self._look_again:
            return []  # the election comes first, and this again after it
        if not names:
            self._tidied = True
            return []
        path = self.standing.paths.child(self.standing.paths.backup_masters, names[0])
        return self._ask(Delete(path), lambda _: self._remove(names[1:]), tidying=True)

    # --- helpers ------------------------------------------------------------------------------------------------

    def _contend(self) -> list[Effect]:
        place = self.standing
        create = Create(place.paths.master, place.data, ephemeral=True)
        return self._ask(Multi((create, SetData(place.mark_path, place.mark_data))), self._contended)

    def _read_master(self) -> list[Effect]:
        self._look_again = False
        return self._ask(Get(self.standing.paths.master, watch=True), self._master_read)

    def _ask(self, request: Request, then: Callable[[Reply], list[Effect]], *, tidying: bool = False) -> list[Effect]:
        assert not self._waiting_for, "one request at a time"
        self._tidying = tidying
        self._tickets += 1
        self._waiting_for = self._tickets
        self._then = then
        return [Ask(self._tickets, request)]

    def _end(self, reason: str) -> list[Effect]:
        if self.ended:
            return []
        self.ended = True
        self._waiting_for = self.epoch = 0
        return [End(reason)]


def _name(data: bytes) -> ServerName | None:
    try:
        return decode_master(data).server_name
    except ProtocolError:
        return None


def _is_earlier(name: str, mine: ServerName) -> bool:
    """Whether a child of backup-masters is of an earlier life of the same host and port."""
    try:
        other = ServerName.parse(name)
    except ValueError:
        return False
    return other.address == mine.address and other.start_code < mine.start_code
