"""What followers are told: the registry as JSON for programs, the page's parts as HTML for browsers.

Both are sections of a stream (registry.http.events). A change of the snapshot is told at once; a change of health,
readiness or the election is seen within LOOK_S; figures on the page move once in a second. Without followers there is
one look a second, for the picture of the last minutes. Programs are told version and age with each change, and
every HEARTBEAT_S where nothing changes, so that they know how old what they have is.

The page's parts are cut out of the page itself, so a browser that follows shows what it would after a reload, and
nothing is written twice:

    <section data-live="answers"><!--live:answers--> ... <!--/live--></section>

Whatever a peer says is escaped there, so nobody else can write these marks.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets

from registry.http.activity import INTERVAL_S, Activity
from registry.http.answers import election_model, iso_time, registry_model, snapshot_model
from registry.http.events import EventStats, Hub, Section, Stream, SubscriberLimits
from registry.http.headers import EVENT_STREAM_HEAD
from registry.http.health import health
from registry.http.pages import Pages
from registry.http.process import LoopLag
from registry.http.status import HandOutView, StatusSource
from registry.lookup.snapshot import Snapshot

EVENTS_PATH = "/api/v1/events"
LOOK_S = 0.25
"""How often what tells no change of its own is looked at, while anybody follows."""
CHANGE_INTERVAL_S = 0.05
"""Changes that follow one another faster are told together."""
VERSION_INTERVAL_S = 1.0
"""The same where nothing but the version moves on: each look-up that wants a fresh answer may move it."""
HEARTBEAT_S = 5.0
"""As streams of gRPC have it; proxies cut what is silent for some 30 s."""

_PART = re.compile("<!--live:([a-z-]+)-->(.*?)<!--/live-->", re.DOTALL)
_TIME_TEXT = re.compile("(<time [^>]*>)[^<]*")
"""A moment's distance from now moves by itself, in the browser; it is no change."""


class Live:
    """The two streams of one server. Belongs to the loop."""

    def __init__(
        self, source: StatusSource, pages: Pages, lag: LoopLag, activity: Activity, limits: SubscriberLimits
    ) -> None:
        boot = secrets.token_hex(4)
        self.registry = Stream("registry", boot)
        self.page = Stream("page", boot)
        self.hub = Hub(limits)
        self.activity = activity
        self._source = source
        self._pages = pages
        self._lag = lag
        self._facts: dict[str, Section] = {}
        self._facts_of: tuple[Snapshot, HandOutView] | None = None
        self._pulse: object = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._change: asyncio.TimerHandle | None = None
        self._changed_s = 0.0
        self._sampled_s = 0.0
        self._beat_s = 0.0
        self._refreshed_s = {self.registry: 0.0, self.page: 0.0}

    @property
    def stats(self) -> EventStats:
        """Counters of the followers."""
        return self.hub.stats

    def stream(self, form: str) -> Stream | None:
        """The stream of a form: `registry` or `page`."""
        return {"registry": self.registry, "page": self.page}.get(form)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to look."""
        self._loop = loop
        self._sampled_s = self._beat_s = loop.time()
        self._look_later(INTERVAL_S)

    def stop(self) -> None:
        """End, and let everybody go."""
        for timer in (self._timer, self._change):
            if timer is not None:
                timer.cancel()
        self._loop = self._timer = self._change = None
        self.hub.close([self.registry, self.page])

    def changed(self) -> None:
        """The snapshot, or what is handed out, is another one now."""
        if self._loop is None or not len(self.hub):
            return
        due_s = self._changed_s + (VERSION_INTERVAL_S if self._is_version_alone() else CHANGE_INTERVAL_S)
        if self._change is not None:
            if self._change.when() <= due_s:
                return
            self._change.cancel()
        self._change = self._loop.call_at(max(due_s, self._loop.time()), self._tell_change)

    def refusal(self, peer_host: str) -> str:
        """Why one more follower from this peer is not taken, counted; empty where it is."""
        refusal = self.hub.refusal(peer_host)
        self.hub.stats.refused += bool(refusal)
        return refusal

    def follow(
        self, transport: asyncio.Transport, stream: Stream, peer_host: str, last_event_id: str, agent: str
    ) -> None:
        """Take a transport over for a follower whose request has been read."""
        if stream is self.registry:
            self._source.visitors.http_seen(peer_host, agent)
        now_s = asyncio.get_running_loop().time()
        if (not stream.subscribers or now_s - self._refreshed_s[stream] >= LOOK_S) and self.refresh(stream):
            self.hub.tell(stream)  # who comes gets what is, and not the age of the latest change
        if self._timer is not None and not len(self.hub):
            self._timer.cancel()
            self._look_later(LOOK_S)
        self.hub.join(transport, stream, peer_host, EVENT_STREAM_HEAD, last_event_id)

    def refresh(self, stream: Stream) -> bool:
        """Bring a stream up to now; whether anything changed."""
        moment = self._moment()
        self._refreshed_s[stream] = asyncio.get_running_loop().time()
        if stream is self.page:
            return stream.update({"now": Section(moment["now"], "now"), **self._page_sections()}, moment)
        version = str((self._source.snapshot.version, self._source.snapshot.complete))
        moment["snapshot"] = self._version_and_age()
        sections = {"now": Section(moment["now"], "now"), "snapshot": Section(moment["snapshot"], version)}
        return stream.update({**sections, **self._registry_sections()}, moment)

    def _moment(self) -> dict[str, str]:
        return {"now": json.dumps(iso_time(self._source.wall_ms()))}

    def _version_and_age(self) -> str:
        return snapshot_model(self._source.snapshot, self._source.age_ms()).model_dump_json()

    # --- looking -------------------------------------------------------------------------------------------------

    def _look_later(self, wait_s: float) -> None:
        assert self._loop is not None, "it has been started"
        self._timer = self._loop.call_later(wait_s, self._look)

    def _look(self) -> None:
        assert self._loop is not None, "the timer ends with it"
        self._look_later(LOOK_S if len(self.hub) else INTERVAL_S)
        now_s = self._loop.time()
        sampled = now_s - self._sampled_s >= INTERVAL_S - LOOK_S / 2
        if sampled:
            self._sampled_s = now_s
            self.activity.sample()
        if not len(self.hub):
            return
        pulse = self._take_pulse()
        if pulse != self._pulse:
            self._pulse = pulse
            self._tell(self.registry)
            self._tell(self.page)
        elif sampled:
            self._tell(self.page)
        if now_s - self._beat_s >= HEARTBEAT_S:
            self._beat_s = now_s
            data = f'{{"now":{self._moment()["now"]},"snapshot":{self._version_and_age()}}}'
            self.hub.beat(self.registry, f": heartbeat\nevent: heartbeat\ndata: {data}\n\n".encode())
            self.hub.beat(self.page, b": heartbeat\n\n")

    def _take_pulse(self) -> object:
        source, election = self._source, self._source.election()
        verdict = health(source)
        place = (
            (election.role, election.server_name, election.active_master, election.acting, election.epoch)
            if election
            else ()
        )
        return verdict.state, verdict.connections, source.readiness().ready, source.hand_out(), place

    def _tell_change(self) -> None:
        assert self._loop is not None, "the timer ends with it"
        self._change = None
        self._changed_s = self._loop.time()
        self._tell(self.registry)
        self._tell(self.page)

    def _tell(self, stream: Stream) -> None:
        if stream.subscribers and self.refresh(stream):
            self.hub.tell(stream)

    def _is_version_alone(self) -> bool:
        """Whether all that differs from what was told last is how new it is."""
        if self._facts_of is None:
            return False
        (told, hand_out), snapshot = self._facts_of, self._source.snapshot
        same = told.facts() == snapshot.facts() and told.complete == snapshot.complete
        return same and told.version.generation == snapshot.version.generation and hand_out == self._source.hand_out()

    # --- sections ------------------------------------------------------------------------------------------------

    def _registry_sections(self) -> dict[str, Section]:
        source = self._source
        snapshot, hand_out, age_ms = source.snapshot, source.hand_out(), source.age_ms()
        if self._facts_of is None or self._facts_of[0] is not snapshot or self._facts_of[1] != hand_out:
            # Hundreds of region servers take milliseconds, and most looks find the same snapshot.
            fields = registry_model(snapshot, age_ms, hand_out).model_dump(mode="json", exclude={"snapshot"})
            self._facts = {name: Section(json.dumps(value, ensure_ascii=False)) for name, value in fields.items()}
            self._facts_of = snapshot, hand_out
        verdict, readiness, election = health(source), source.readiness(), election_model(source.election())
        server = {
            "role": source.identity.role,
            "advertised": source.identity.advertised,
            "health": verdict.state.value,
            "ready": readiness.ready,
            "connections": dict(verdict.connections),
            "election": election.model_dump(mode="json", exclude={"lease_left_seconds"}) if election else None,
        }
        return {
            **self._facts,
            "server": Section(json.dumps(server, ensure_ascii=False)),
        }

    def _page_sections(self) -> dict[str, Section]:
        page = self._pages.status(self._source, self._lag, self.activity)
        return {
            name: Section(json.dumps(html, ensure_ascii=False), _TIME_TEXT.sub(r"\1", html))
            for name, html in _PART.findall(page)
        }
