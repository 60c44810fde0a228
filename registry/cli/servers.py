"""Servers that a command asks over HTTP: from the words of the command line to base URLs, and one question."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import Message
from typing import IO

from registry.config.settings import BadSetting
from registry.names import Address

HTTP_PORT = 16010
BODY_BYTES_MAX = 64 << 20


def base_of(text: str) -> str:
    """The URL under which a server has its paths, from HOST, HOST:PORT or a URL. Raises BadSetting."""
    if text.startswith(("http://", "https://")):
        return text.rstrip("/")
    try:
        return f"http://{Address.parse(text, HTTP_PORT)}"
    except ValueError as error:
        raise BadSetting("", text, "command line", str(error)) from None


def own_base(http_address: str) -> str:
    """The same from `hbeacon.http.address`, as this machine reaches it; empty where that is off."""
    if http_address.strip().lower() == "off":
        return ""
    address = Address.parse(http_address)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)
    return f"http://{Address(host, address.port)}"


class HttpAsker:
    """Asks servers directly, as their clients do: by no proxy of the environment."""

    def __init__(self, timeout_s: float, agent: str, *, redirects: bool = True) -> None:
        """`redirects`: whether they are followed."""
        handlers = [urllib.request.ProxyHandler({}), *([] if redirects else [_NoRedirects()])]
        self._opener = urllib.request.build_opener(*handlers)
        self._timeout_s = timeout_s
        self._agent = agent

    def ask(
        self, url: str, headers: Mapping[str, str], method: str = "GET", body: bytes | None = None
    ) -> tuple[int, bytes]:
        """Status and body, of refusals too. Raises OSError, and ValueError for what is no URL."""
        request = urllib.request.Request(url, body, {"User-Agent": self._agent, **headers}, method=method)
        try:
            with self._opener.open(request, timeout=self._timeout_s) as response:
                return response.status, response.read(BODY_BYTES_MAX)
        except urllib.error.HTTPError as error:  # 503 has a body, and it is the interesting one
            with error:
                return error.code, error.read(BODY_BYTES_MAX)
        except http.client.HTTPException as error:
            raise OSError(f"what answers there speaks no HTTP ({type(error).__name__})") from None


def sentence_of(error: Exception) -> str:
    """Why a server could not be asked, for people."""
    reason = getattr(error, "reason", error)
    return getattr(reason, "strerror", None) or str(reason) or type(error).__name__


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A token is for the server that was named, and a change is sent once."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        del req, fp, code, msg, headers, newurl
