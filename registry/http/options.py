"""What may be chosen of the HTTP face."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from registry.http.events import SubscriberLimits
from registry.lookup.fresh_reader import FreshReader


@dataclass(frozen=True, slots=True)
class FaceOptions:
    """Settings of the face; fixed while it runs."""

    subscribers: SubscriberLimits = field(default_factory=SubscriberLimits)
    """hbeacon.http.subscribers_max and hbeacon.http.subscribers_per_peer_max."""
    log_level_enabled: bool = False
    """hbeacon.loglevel.enabled."""
    log_level_token: str = field(default="", repr=False)
    """hbeacon.loglevel.token; without one nobody may change anything."""
    reader: FreshReader | None = None
    """Waits for an answer as new as a question wants it."""

    def log_level_refusal(self, authorization: str | None) -> tuple[int, str]:
        """HTTP status and sentence where a change of a log level is refused; (0, "") where it may be made."""
        if not self.log_level_enabled:
            return 403, "Log levels are not changed over HTTP here: hbeacon.loglevel.enabled is off."
        if not self.log_level_token:
            return 403, "Log levels are not changed without a token: hbeacon.loglevel.token is not set."
        kind, _, token = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or not hmac.compare_digest(
            token.strip().encode("utf-8", "surrogateescape"), self.log_level_token.encode()
        ):
            return 401, "A change needs the header Authorization: Bearer TOKEN, with hbeacon.loglevel.token."
        return 0, ""
