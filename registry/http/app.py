"""The HTTP face: probes, metrics, the registry as JSON, and pages for people.

Importing this costs some 0.3 s and 30 MiB (FastAPI and pydantic), and `create_app` a few hundredths more: do both in a
thread, after the RPC door is open. Everything is answered on the loop in a few milliseconds and nothing waits.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Annotated

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from registry.http import models
from registry.http.accept import Form, choose
from registry.http.activity import Activity
from registry.http.answers import (
    conf_model,
    firewall_model,
    health_model,
    readiness_model,
    registry_etag,
    registry_model,
)
from registry.http.conf import conf_xml
from registry.http.dump import dump_text, readiness_lines
from registry.http.faults import add_fault_routes
from registry.http.fresh import refused
from registry.http.headers import HEADERS
from registry.http.health import health
from registry.http.jmx import jmx
from registry.http.live import EVENTS_PATH, Live
from registry.http.log_level import BadLevel, effective_level, loggers, set_level
from registry.http.options import FaceOptions
from registry.http.pages import STATIC, Pages
from registry.http.process import LoopLag
from registry.http.prometheus import Exposition, StatusCollector
from registry.http.stacks import stacks_text
from registry.http.status import StatusSource

REGION_SERVER = "regionserver"
"""The role whose page HBase has at another place."""
PATHS: tuple[tuple[str, str], ...] = (
    ("/", "this server's status, for people"),
    ("/master-status", "the same, where HBase's masters have it; /rs-status on a region server"),
    ("/health", "healthy, degraded or unhealthy, as JSON; metrics where the Accept header asks for them"),
    ("/ready", "whether clients may be sent here now; the same as /readyz"),
    ("/readyz", "the same; ?verbose tells why, ?exclude=NAME leaves a check out"),
    ("/livez", "whether the process answers at all"),
    ("/metrics", "Prometheus and OpenMetrics"),
    ("/prometheus", "the same, where HBase has it"),
    ("/api/v1/registry", "everything that look-ups answer, as JSON with version and age; ?fresh reads ZooKeeper first"),
    ("/api/v1/firewall", "whether ZooKeeper may be firewalled now, and who still needs it"),
    ("/api/v1/faults", "what goes wrong here on purpose; POST and DELETE change it where that is enabled"),
    (EVENTS_PATH, "the same as it changes, as server-sent events"),
    ("/jmx", "what HBase's servers tell by JMX; ?qry= and ?get="),
    ("/logLevel", "the levels of the log"),
    ("/conf", "the configuration as it applies, as XML; ?format=json"),
    ("/stacks", "what every thread and task is doing"),
    ("/dump", "everything for a bug report, the flight recorder too"),
    ("/openapi.json", "the description of this interface"),
)


def create_app(source: StatusSource, lag: LoopLag | None = None, options: FaceOptions | None = None) -> FastAPI:
    """The face of one server. `lag` and `live` of its state are started by whoever runs it (registry.http.serve)."""
    app = FastAPI(
        title="hbeacon",
        version=source.identity.version,
        description="Health, metrics and the registry's answers of one hbeacon server.",
        docs_url=None,
        redoc_url=None,
    )
    app.state.lag = lag = lag or LoopLag()
    options = options or FaceOptions()
    pages, activity = Pages(), Activity(source, lag)
    app.state.live = live = Live(source, pages, lag, activity, options.subscribers)
    face = _Face(source, lag, pages, live, options)
    probes: dict[int | str, dict[str, object]] = {503: {"description": "No."}}
    unhealthy: dict[int | str, dict[str, object]] = {503: {"model": models.HealthModel, "description": "Unhealthy."}}
    json_error: dict[int | str, dict[str, object]] = {400: {"model": models.ErrorModel}}
    for path in ("/", "/rs-status" if source.identity.role == REGION_SERVER else "/master-status"):
        app.add_api_route(path, face.page, response_class=HTMLResponse, include_in_schema=False)
    app.add_api_route("/health", face.health, response_model=models.HealthModel, responses=unhealthy)
    for path in ("/ready", "/readyz"):
        app.add_api_route(
            path, face.ready, response_class=PlainTextResponse, responses=probes, operation_id=path.strip("/")
        )
    app.add_api_route("/livez", face.live, response_class=PlainTextResponse)
    for path in ("/metrics", "/prometheus"):
        app.add_api_route(path, face.metrics, response_class=PlainTextResponse, operation_id=path.strip("/"))
    unmet: dict[int | str, dict[str, object]] = {status: {"model": models.ErrorModel} for status in (400, 409, 503)}
    app.add_api_route("/api/v1/registry", face.registry, response_model=models.RegistryModel, responses=unmet)
    app.add_api_route("/api/v1/firewall", face.firewall, response_model=models.FirewallModel)
    add_fault_routes(app, source)
    app.add_api_route(EVENTS_PATH, face.events, response_class=PlainTextResponse, responses=json_error)
    app.add_api_route("/jmx", face.jmx, response_class=JSONResponse, responses={400: {}, 404: {}})
    app.add_api_route("/logLevel", face.log_level, response_class=HTMLResponse, responses={405: {}})
    for method in ("PUT", "POST"):
        app.add_api_route(
            "/logLevel",
            face.set_log_level,
            methods=[method],
            response_class=PlainTextResponse,
            responses={401: {}, 403: {}},
            operation_id=f"set_log_level_{method.lower()}",
        )
    app.add_api_route("/conf", face.conf, response_model=models.ConfModel, responses=json_error)
    app.add_api_route("/stacks", face.stacks, response_class=PlainTextResponse)
    app.add_api_route("/dump", face.dump, response_class=PlainTextResponse)
    app.add_api_route("/static/{name}", face.static, include_in_schema=False)
    app.add_exception_handler(HTTPException, face.http_error)
    app.add_exception_handler(RequestValidationError, face.bad_request)
    app.add_exception_handler(Exception, face.failure)
    app.add_middleware(_Frame)
    return app


class _Frame:
    """What holds for every answer: HEAD works wherever GET does, the headers are there, nothing is cached unasked."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def framed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), *HEADERS]
                if not any(name == b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"no-store"))
                message = {**message, "headers": headers}
            await send(message)

        # The server knows that it was HEAD and drops the body; the routes need not.
        inner = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        await self._app(inner, receive, framed)


class _Face:
    """The handlers. Each reads the source once, renders, and is done: no await within, so one answer is one moment."""

    def __init__(self, source: StatusSource, lag: LoopLag, pages: Pages, live: Live, options: FaceOptions) -> None:
        self._source = source
        self._lag = lag
        self._pages = pages
        self._live = live
        self._options = options
        self._exposition = Exposition(StatusCollector(source, lag, live.hub, options.reader))

    async def page(
        self, refresh: str = "on", output: Annotated[str, Query(alias="format", description="html or json")] = "html"
    ) -> Response:
        """For people. As JSON it is the list of tasks that the shell's processlist shows: none are kept here."""
        if output == "json":
            return JSONResponse([])
        return HTMLResponse(self._pages.status(self._source, self._lag, self._live.activity, refresh=refresh != "off"))

    async def health(self, request: Request) -> Response:
        """JSON, unless the Accept header prefers a metrics format: scrape configurations may name /health."""
        form = choose(request.headers.get("accept"), (Form.JSON, Form.TEXT, Form.OPEN_METRICS))
        verdict = health(self._source)
        if form is not Form.JSON:
            # 200 whatever the verdict: a scraper drops the body of an error, and the verdict is one of the metrics.
            return self._metrics(form)
        model = health_model(self._source, verdict, self._source.readiness())
        return _json(model, verdict.state.http_status)

    async def ready(
        self,
        request: Request,
        verbose: Annotated[str | None, Query(description="Tell of every check.")] = None,
        exclude: Annotated[list[str] | None, Query(description="Names of checks to leave out.")] = None,
    ) -> Response:
        """Whether clients may be sent here now, in Kubernetes' words; as JSON where the Accept header prefers it."""
        whole = self._source.readiness()
        readiness = whole.without(exclude or ())
        status = 200 if readiness.ready else 503
        if choose(request.headers.get("accept"), (Form.TEXT, Form.JSON)) is Form.JSON:
            return _json(readiness_model(readiness), status)
        if readiness.ready and verbose is None:
            return PlainTextResponse("ok")
        lines = list(readiness_lines(readiness))
        unknown = sorted(set(exclude or ()) - {check.name for check in whole.checks})
        if unknown:
            lines.insert(-1, f"warn: no check to exclude is called {', '.join(map(repr, unknown))}")
        return PlainTextResponse("\n".join(lines) + "\n", status)

    async def live(self) -> PlainTextResponse:
        """The loop runs, or nobody would answer."""
        return PlainTextResponse("ok")

    async def metrics(self, request: Request) -> Response:
        """Prometheus text, or OpenMetrics where the Accept header prefers it."""
        return self._metrics(choose(request.headers.get("accept"), (Form.TEXT, Form.OPEN_METRICS)))

    def _metrics(self, form: Form) -> Response:
        body, media_type = self._exposition.text(form)
        return Response(body, headers={"content-type": media_type, "vary": "accept"})

    async def registry(
        self,
        request: Request,
        fresh: Annotated[str | None, Query(description="As ZooKeeper's leader has it after the question.")] = None,
        max_staleness_ms: Annotated[str | None, Query(description="Held at most so long before the question.")] = None,
        min_zxid: Annotated[str | None, Query(description="With all changes up to this one; decimal or 0x...")] = None,
        generation: Annotated[str | None, Query(description="Of min_zxid, as this server told it.")] = None,
    ) -> Response:
        """Everything that look-ups answer, at one version. The ETag is weak: it names version and content, not age."""
        del fresh, max_staleness_ms, min_zxid, generation  # read by registry.http.fresh, as all protocols read them
        if (refusal := await refused(self._options.reader, request.query_params, request.url.path)) is not None:
            return refusal
        source = self._source
        if request.client is not None:
            source.visitors.http_seen(request.client.host, request.headers.get("user-agent", ""))
        model = registry_model(source.snapshot, source.age_ms(), source.hand_out())
        etag = registry_etag(model)
        headers = {"etag": etag, "cache-control": "no-cache"}
        if _etag_matches(request.headers.get("if-none-match"), etag):
            return Response(status_code=304, headers=headers)
        return _json(model, 200, headers)

    async def firewall(self) -> Response:
        """Whether ZooKeeper may be firewalled now: what was seen in the last day, and what cannot be seen."""
        return _json(firewall_model(self._source.firewall()), 200)

    async def events(
        self, form: Annotated[str, Query(alias="as", description="registry or page")] = "registry"
    ) -> Response:
        """Server-sent events: everything at first (`snapshot`), then what changes (`change`), as JSON by section.

        Served by registry.http.serve, which takes the connection over. Here is what a single look gives: the same
        first event, and the end.
        """
        stream = self._live.stream(form)
        if stream is None:
            return _json(models.ErrorModel(error=f"Bad form: {form[:64]}", path=EVENTS_PATH), 400)
        self._live.refresh(stream)
        return Response(b"retry: 1000\n\n" + stream.whole(), media_type="text/event-stream; charset=utf-8")

    async def jmx(
        self,
        qry: Annotated[str | None, Query(description="A pattern of names of beans.")] = None,
        get: Annotated[str | None, Query(description="NAME::ATTRIBUTE.")] = None,
    ) -> Response:
        """What HBase's servers tell by JMX, as far as it is true here. Source: HBase's JMXJsonServlet."""
        status, answer = jmx(self._source, qry, get)
        return JSONResponse(answer, status)

    async def log_level(self, request: Request, log: str | None = None, level: str | None = None) -> Response:
        """The levels of all loggers, or of one; nothing is changed by GET. Source: HBase's LogLevel."""
        if level is not None:
            return PlainTextResponse(
                "A GET changes nothing here. Send the same address with PUT or POST and the header"
                " Authorization: Bearer TOKEN (hbeacon.loglevel.enabled, hbeacon.loglevel.token).\n",
                405,
                {"allow": "GET, HEAD, PUT, POST"} if self._options.log_level_enabled else {"allow": "GET, HEAD"},
            )
        if log is None:
            base = str(request.base_url).rstrip("/")
            return HTMLResponse(self._pages.log_levels(loggers(), enabled=self._options.log_level_enabled, base=base))
        try:
            return HTMLResponse(self._pages.log_level(log, effective_level(log)))
        except BadLevel as error:
            return PlainTextResponse(f"{error}\n", 400)

    async def set_log_level(self, request: Request, log: str, level: str) -> Response:
        """Set a level until the next start, where that is allowed and with the token."""
        status, sentence = self._options.log_level_refusal(request.headers.get("authorization"))
        if status:
            headers = {"www-authenticate": "Bearer"} if status == 401 else None
            return PlainTextResponse(f"{sentence}\n", status, headers)
        try:
            return PlainTextResponse(f"{log}: {set_level(log, level)}\n")
        except BadLevel as error:
            return PlainTextResponse(f"{error}\n", 400)

    async def conf(
        self, request: Request, output: Annotated[str, Query(alias="format", description="xml or json")] = "xml"
    ) -> Response:
        """The configuration as it applies now, secrets masked. Source: HBase's ConfServlet."""
        if output == "json":
            return _json(conf_model(self._source.settings()), 200)
        if output != "xml":
            return _json(models.ErrorModel(error=f"Bad format: {output[:64]}", path=request.url.path), 400)
        return Response(conf_xml(self._source.settings()), media_type="text/xml; charset=utf-8")

    async def stacks(self) -> PlainTextResponse:
        """Every thread and every task, innermost frame first."""
        return PlainTextResponse(stacks_text())

    async def dump(self) -> PlainTextResponse:
        """Status, settings, clients, flight recorder and stacks in one text."""
        return PlainTextResponse(dump_text(self._source, self._lag))

    async def static(self, name: str, request: Request) -> Response:
        if name not in STATIC:
            raise HTTPException(404)
        body = self._pages.static[name]
        headers = {"etag": f'"{zlib.crc32(body):08x}"', "cache-control": "no-cache"}
        if _etag_matches(request.headers.get("if-none-match"), headers["etag"]):
            return Response(status_code=304, headers=headers)
        return Response(body, media_type=STATIC[name], headers=headers)

    async def http_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        path = request.url.path
        known = PATHS if error.status_code == 404 else ()
        if known and choose(request.headers.get("accept"), (Form.JSON, Form.HTML)) is Form.HTML:
            return HTMLResponse(self._pages.missing(path, known), error.status_code)
        model = models.ErrorModel(error=str(error.detail), path=path, paths=[name for name, _ in known])
        return _json(model, error.status_code, error.headers)

    async def bad_request(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        problems = "; ".join(f"{'.'.join(map(str, row['loc']))}: {row['msg']}" for row in error.errors())
        return _json(models.ErrorModel(error=problems, path=request.url.path), 400)

    async def failure(self, request: Request, _error: Exception) -> Response:
        # The text of the error may hold what is nobody's business; uvicorn logs it with its traceback.
        return _json(models.ErrorModel(error="internal error, see the log", path=request.url.path), 500)


def _json(model: BaseModel, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(model.model_dump_json(), status, headers, "application/json")


def _etag_matches(if_none_match: str | None, etag: str) -> bool:
    """Weak comparison, as RFC 9110 section 13.1.2 asks for."""
    if if_none_match is None:
        return False
    wanted = [candidate.strip() for candidate in if_none_match.split(",")]
    return "*" in wanted or etag.removeprefix("W/") in [candidate.removeprefix("W/") for candidate in wanted]
