"""What every error of the protocol has in common; the table of them is in `registry.wire.errors`.

Source: org.apache.hadoop.hbase.ipc.RemoteWithExtrasException, org.apache.hadoop.hbase.DoNotRetryIOException.
"""

from __future__ import annotations

import enum

HBASE_PACKAGE = "org.apache.hadoop.hbase."
"""What the Java names of HBase's own exceptions begin with."""


class ProtocolError(Exception):
    """The peer's bytes are not the protocol: the text says what is wrong and where.

    `kind` is one word for counters, such as `frame`, `varint`, `header`, `cell` or `znode`.
    """

    def __init__(self, message: str, *, kind: str = "malformed") -> None:
        super().__init__(message)
        self.kind = kind


class ErrorAction(enum.Enum):
    """What the receiver of an error must do."""

    RETRY_NOW = "retry now"
    """Send the rest again without a pause; the location stays."""
    RETRY_HERE = "retry here"
    """Pause as usual, then ask the same server again."""
    BACK_OFF = "back off"
    """The server has too much to do: pause longer, then ask the same server again."""
    RELOCATE = "relocate"
    """Forget where this was, ask again where it is, pause as usual, then try there."""
    RECONNECT = "reconnect"
    """The server or the connection is going away: close the connection, then as for RELOCATE."""
    REOPEN_SCANNER = "reopen scanner"
    """Open a new scanner behind the last row that was seen; counts as a retry."""
    GIVE_UP = "give up"
    """Trying again gives the same answer: tell the caller."""


class HBaseError(Exception):
    """An error as HBase sends it in ExceptionResponse; the subclasses bear the names of the Java classes.

    A subclass without `java` in its class statement inherits the name of its base and is not in the table.
    """

    java_class: str = "java.io.IOException"
    """Name of the Java class on the wire."""
    do_not_retry: bool = False
    """True for whatever HBase derives from DoNotRetryIOException, and where the sender said so."""
    server_overloaded: bool = False
    """True where the sender asks for the longer pause, hbase.client.pause.server.overloaded."""
    action: ErrorAction = ErrorAction.RELOCATE

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.stack_trace = ""
        """The sender's text as it came, `<class>: <message>` and the lines of its stack; empty for our own."""

    def __init_subclass__(cls, *, java: str = "", action: ErrorAction | None = None) -> None:
        super().__init_subclass__()
        if action is not None:
            cls.action = action
        if java:
            cls.java_class = java if java.startswith("java.") else HBASE_PACKAGE + java
            assert cls.java_class not in BY_JAVA_CLASS, f"{cls.java_class} is in the table already"
            BY_JAVA_CLASS[cls.java_class] = cls

    def __str__(self) -> str:
        simple_name = self.java_class.rpartition(".")[2]
        return f"{simple_name}: {self.message}" if self.message else simple_name

    @classmethod
    def from_wire(cls, message: str, host: str, port: int) -> HBaseError:
        """Build the error from what ExceptionResponse says; some classes read their fields from the text."""
        del host, port
        return cls(message)


class RemoteError(HBaseError):
    """An error whose class is not in the table; `java_class` keeps the name.

    A Java client cannot load such a class and gives up; we need not load it, so the sender's flag decides,
    except for `java.lang.*`, which means a bug over there.
    Source: RemoteWithExtrasException#unwrapRemoteException.
    """

    def __init__(self, java_class: str, message: str = "", *, do_not_retry: bool = True) -> None:
        super().__init__(message)
        self.java_class = java_class
        self.do_not_retry = do_not_retry or java_class.startswith("java.lang.")
        self.action = ErrorAction.GIVE_UP if self.do_not_retry else ErrorAction.RELOCATE


BY_JAVA_CLASS: dict[str, type[HBaseError]] = {}
"""Java class name to our class: the table, filled by the class statements of `registry.wire.errors`."""
