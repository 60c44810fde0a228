"""How new an answer has to be, in the words of HTTP: a query in, and a status with a sentence where it is not met.

Such as `/api/v1/registry?fresh` and `/api/v1/registry?min_zxid=0x1400000a2f&max_staleness_ms=500`.
"""

from __future__ import annotations

from collections.abc import Mapping

from fastapi.responses import Response

from registry.http.models import ErrorModel
from registry.lookup.fresh_reader import FreshReader
from registry.lookup.freshness import Refusal, Unmet, read_wants

STATUS: Mapping[Unmet, int] = {
    Unmet.NOT_REACHED: 409,
    Unmet.SILENT: 503,
    Unmet.LATE: 504,
    Unmet.CROWDED: 503,
    Unmet.STALE: 503,
}
"""Why there is no answer. 409: ZooKeeper was read and is not there, so only another question helps."""
RETRY_AFTER_S = 1
"""With 503, for whoever asks again; another server may well answer now."""


async def refused(reader: FreshReader | None, query: Mapping[str, str], path: str) -> Response | None:
    """Wait until what the query wants is met; the answer where it will not be. None goes on to what is asked for."""
    try:
        wants = read_wants(query)
    except ValueError as error:
        return _answer(400, str(error), path)
    if not wants:
        return None
    if reader is None:
        return _answer(501, "this server cannot say how new its answers are", path)
    try:
        await reader.meet(wants)
    except Refusal as refusal:
        return _answer(STATUS[refusal.unmet], str(refusal), path)
    return None


def _answer(status: int, sentence: str, path: str) -> Response:
    headers = {"retry-after": str(RETRY_AFTER_S)} if status == 503 else None
    return Response(ErrorModel(error=sentence, path=path).model_dump_json(), status, headers, "application/json")
