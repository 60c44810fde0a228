"""Access control in frames: who may do what, what is kept of an ACL, what authentication gives."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from registry.coordinator import codes
from registry.coordinator.acl import generate_digest, intern_acl, permits
from registry.coordinator.codes import CreateMode, ErrorCode, OpCode
from registry.coordinator.jute import ACL, OPEN_ACL_UNSAFE, READ_ACL_UNSAFE, Reader
from registry.coordinator.machine import CoordinatorSettings
from tests.support import zk_frames
from tests.support.coordinators import Client, CoordinatorBench
from tests.support.zk_frames import Reply

USER = generate_digest("user:secret")
ANYONE = ("world", "anyone")


@pytest.fixture
def bench() -> CoordinatorBench:
    return CoordinatorBench(CoordinatorSettings(super_digest=generate_digest("super:power")))


@pytest.fixture
def owner(bench: CoordinatorBench) -> Client:
    client = bench.client()
    assert client.auth("digest", b"user:secret") == (-4, 0, 0, b"")
    return client


def test_digest_is_zookeepers() -> None:
    # the example of ZooKeeper's own documentation for super: `super:test`
    assert generate_digest("super:test") == "super:D/InIHSb7yEEbrWz8b9l71RjZJU="


Attempt = Callable[[Client], Reply]
ATTEMPTS: list[tuple[int, Attempt]] = [
    (codes.READ, lambda c: c.get_data("/a")),
    (codes.READ, lambda c: c.exists("/a")),
    (codes.READ, lambda c: c.get_children("/a")),
    (codes.READ, lambda c: c.ask(zk_frames.with_path(1, OpCode.GET_ALL_CHILDREN_NUMBER, "/a"))),
    (codes.WRITE, lambda c: c.set_data("/a", b"")),
    (codes.CREATE, lambda c: c.create("/a/new")),
    (codes.DELETE, lambda c: c.delete("/a/child")),
    (codes.ADMIN, lambda c: c.set_acl("/a", OPEN_ACL_UNSAFE)),
]


@pytest.mark.parametrize(("perm", "attempt"), ATTEMPTS)
def test_every_right_is_asked_for(bench: CoordinatorBench, owner: Client, perm: int, attempt: Attempt) -> None:
    owner.create("/a")
    owner.create("/a/child")
    stranger = bench.client()
    owner.set_acl("/a", [ACL(codes.ALL & ~perm, *ANYONE), ACL(perm, "digest", USER)])
    refused = attempt(stranger)
    assert refused.err == ErrorCode.NO_AUTH
    assert refused.body == b""
    assert attempt(owner).err == ErrorCode.OK


def test_get_acl_hides_hashes_from_all_but_administrators(bench: CoordinatorBench, owner: Client) -> None:
    kept = (ACL(codes.ALL, "digest", USER), ACL(codes.READ, *ANYONE))
    owner.create("/a", acls=[ACL(codes.ALL, "auth", ""), ACL(codes.READ, *ANYONE)])
    assert owner.get_acl("/a").acls == kept
    seen = bench.client().get_acl("/a")
    assert seen.acls == (ACL(codes.ALL, "digest", "user:x"), kept[1])
    assert seen.stat == owner.stat("/a")
    owner.set_acl("/a", kept[:1])
    assert bench.client().get_acl("/a").err == ErrorCode.NO_AUTH


def test_set_acl_counts_its_own_version(owner: Client) -> None:
    owner.create("/a")
    assert owner.set_acl("/a", READ_ACL_UNSAFE, version=1).err == ErrorCode.BAD_VERSION
    stat = owner.set_acl("/a", [ACL(codes.ALL, "auth", "")], version=0).stat
    assert (stat.aversion, stat.version, stat.mzxid) == (1, 0, 2)
    assert owner.stat("/a") == stat
    assert owner.set_acl("/no", OPEN_ACL_UNSAFE).err == ErrorCode.NO_NODE
    assert owner.set_acl("/no", ()).err == ErrorCode.INVALID_ACL
    assert owner.set_acl("no", OPEN_ACL_UNSAFE).err == ErrorCode.BAD_ARGUMENTS


def test_acls_that_cannot_be(bench: CoordinatorBench) -> None:
    client = bench.client()
    for scheme, name in (
        ("world", "someone"), ("auth", ""), ("digest", "user"), ("digest", "user:"), ("digest", "a:b:c"), ("x509", "a"),
        ("ip", "300.1.1.1"), ("ip", "10.0.0.0/33"), ("ip", "10.0.0.0/-1"), ("ip", "10.0.0.0/255.0.0.0"), ("ip", ""),
        ("super", ""), ("", ""),
    ):  # fmt: skip
        assert client.create("/a", acls=[ACL(31, scheme, name)]).err == ErrorCode.INVALID_ACL, (scheme, name)
    assert client.create("/a", acls=[*OPEN_ACL_UNSAFE, *OPEN_ACL_UNSAFE]).err == ErrorCode.OK
    assert client.get_acl("/a").acls == OPEN_ACL_UNSAFE


@pytest.mark.parametrize(
    ("entry", "host", "is_permitted"),
    [
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.4", False),
        ("10.1.0.0/16", "10.1.200.4", True),
        ("10.1.77.1/16", "10.1.200.4", True),
        ("10.1.0.0/16", "10.2.0.1", False),
        ("0.0.0.0/0", "192.168.0.1", True),
        ("10.1.2.3", "::ffff:10.1.2.3", True),
        ("fe80::/64", "fe80::1%eth0", True),
        ("fe80::/64", "fe81::1", False),
        ("::1", "127.0.0.1", False),
        ("127.0.0.1", "somewhere", False),
    ],
)
def test_ip(bench: CoordinatorBench, entry: str, host: str, is_permitted: bool) -> None:
    client = bench.client(host=host)
    assert client.create("/a", acls=[ACL(31, "ip", entry)]).err == ErrorCode.OK
    assert (client.get_data("/a").err == ErrorCode.OK) is is_permitted


def test_who_am_i_tells_users_and_no_hashes(owner: Client) -> None:
    owner.auth("digest", b"super:power")
    owner.auth("digest", b"super:power")
    owner.auth("ip", b"")
    reader = Reader(owner.ask(zk_frames.request(1, OpCode.WHO_AM_I).payload()).body)
    infos = [(reader.text(), reader.text()) for _ in range(reader.int32())]
    assert infos == [("ip", "127.0.0.1"), ("digest", "user"), ("super", ""), ("digest", "super")]


def test_super_may_do_everything(bench: CoordinatorBench, owner: Client) -> None:
    owner.create("/a", acls=[ACL(codes.READ, "auth", "")])
    assert owner.set_data("/a", b"").err == ErrorCode.NO_AUTH
    admin = bench.client()
    admin.auth("digest", b"super:power")
    assert admin.set_data("/a", b"").err == ErrorCode.OK
    assert admin.set_data("/zookeeper/config", b"x").err == ErrorCode.OK
    assert not permits((ACL(31, "digest", USER),), codes.READ, ())


@pytest.mark.parametrize(("scheme", "data"), [("world", b"anyone"), ("digest", None), ("sasl", b""), ("super", b"")])
def test_failed_authentication_is_answered_and_closes(bench: CoordinatorBench, scheme: str, data: bytes | None) -> None:
    client = bench.client()
    client.create("/e", flags=CreateMode.EPHEMERAL)
    assert client.send(zk_frames.auth(scheme, data), zk_frames.delete(2, "/e")) == [(-4, 0, ErrorCode.AUTH_FAILED, b"")]
    assert client.peer.is_closed
    assert bench.client(session=client.session).delete("/e").err == ErrorCode.OK


def test_identities_belong_to_the_connection_and_are_few(bench: CoordinatorBench, owner: Client) -> None:
    owner.create("/a", acls=[ACL(codes.ALL, "auth", "")])
    moved = bench.client(session=owner.session)
    assert moved.get_data("/a").err == ErrorCode.NO_AUTH
    for number in range(63):
        assert moved.auth("digest", b"user%d:x" % number).err == ErrorCode.OK
    assert moved.auth("digest", b"one:more").err == ErrorCode.AUTH_FAILED
    assert moved.peer.is_closed


def test_equal_acls_are_one_object_and_few_are_remembered() -> None:
    assert intern_acl((ACL(31, "world", "anyone"),)) is OPEN_ACL_UNSAFE
    for number in range(3000):
        acl = (ACL(number % 31, "digest", f"user:{number}"),)
        assert intern_acl(acl) is intern_acl((ACL(number % 31, "digest", f"user:{number}"),))
    assert intern_acl((ACL(31, "world", "anyone"),)) is OPEN_ACL_UNSAFE
