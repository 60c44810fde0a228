"""Texts that clients compare and people read in logs."""

from __future__ import annotations

import pytest

from registry.wire.errors import BadAuthException, FatalConnectionException, WrongVersionException
from registry.wire.preamble import Preamble, PreambleKind, read_preamble, string_binary


@pytest.mark.parametrize(
    ("six_bytes", "kind"),
    [
        (b"HBas\0\x50", PreambleKind.CALLS),
        (b"HBas\0\x51", PreambleKind.SASL),
        (b"HBas\0\x52", PreambleKind.SASL),
        (b"Regist", PreambleKind.REGISTRY),
        (b"Securi", PreambleKind.SECURITY),
    ],
)
def test_what_clients_send(six_bytes: bytes, kind: PreambleKind) -> None:
    assert read_preamble(six_bytes, "h:1") == Preamble(kind)


@pytest.mark.parametrize(
    ("six_bytes", "error", "text"),
    [
        (b"GET / ", FatalConnectionException, "Expected HEADER=HBas but received HEADER=GET  from h:1"),
        (
            b"G\\\0\xff\0\0",
            FatalConnectionException,
            r"Expected HEADER=HBas but received HEADER=G\x5C\x00\xFF from h:1",
        ),
        (b"\x16\x03\x01\x02\0\x01", FatalConnectionException, r"received HEADER=\x16\x03\x01\x02 from h:1"),
        (b"hbas\0\x50", FatalConnectionException, "received HEADER=hbas from h:1"),
        (b"HBas\x01\x50", WrongVersionException, "serverVersion=0, clientVersion=1, authMethod=80, "),
        (b"HBas\xff\x50", WrongVersionException, "serverVersion=0, clientVersion=255, authMethod=80, "),
        (b"HBas\0\x00", BadAuthException, "serverVersion=0, clientVersion=0, authMethod=0, authName=unknown from h:1"),
        (b"HBas\0\x4f", BadAuthException, "authMethod=79, "),
        (b"HBas\0\x53", BadAuthException, "authMethod=83, "),
        (b"HBas\0\x90", BadAuthException, "authMethod=-112, "),  # Java's bytes are signed
    ],
)
def test_what_is_refused(six_bytes: bytes, error: type[Exception], text: str) -> None:
    kind, refused = read_preamble(six_bytes, "h:1")
    assert kind is PreambleKind.REFUSED
    assert refused is not None
    assert type(refused) is error
    assert text in refused.message
    assert refused.stack_trace == refused.message, "nothing before it: clients compare the beginning"


def test_bytes_as_hbase_prints_them() -> None:
    assert string_binary(bytes(range(0x1F, 0x22))) == r"\x1F !"
    assert string_binary(b"[\\]~\x7f\x80") == r"[\x5C]~\x7F\x80"
    assert string_binary(b"") == ""
    for byte in range(256):
        plain = " " <= chr(byte) <= "~" and chr(byte) != "\\"
        shown = chr(byte) if plain else f"\\x{byte:02X}"
        assert string_binary(bytes((byte,))) == shown
        assert string_binary(b"row" + bytes((byte, byte))) == f"row{shown}{shown}"
