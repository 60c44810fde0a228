"""Content negotiation: scrapers get metrics from /health, browsers and curl get JSON."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.http.accept import Form, choose

HEALTH = (Form.JSON, Form.TEXT, Form.OPEN_METRICS)

FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
PROMETHEUS_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"  # noqa: E501
PROMETHEUS_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"  # noqa: E501


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, Form.JSON),
        ("", Form.JSON),
        ("*/*", Form.JSON),
        (FIREFOX, Form.JSON),
        ("application/json, text/plain, */*", Form.JSON),
        ("text/plain", Form.TEXT),
        ("text/plain;version=0.0.4", Form.TEXT),
        ("TEXT/PLAIN; VERSION=0.0.4", Form.TEXT),
        ("text/*", Form.TEXT),
        ("text/plain;q=0.9, application/json;q=0.8", Form.TEXT),
        ("text/plain;q=0.5, application/json;q=0.8", Form.JSON),
        ("text/plain;q=0, */*", Form.JSON),
        ("application/json;q=0, */*", Form.TEXT),
        ("text/plain;q=0.2, application/openmetrics-text;q=0.1", Form.TEXT),
        (PROMETHEUS_2, Form.OPEN_METRICS),
        (PROMETHEUS_3, Form.OPEN_METRICS),
        ("image/png", Form.JSON),
        ("text/plain;q=nonsense", Form.JSON),
        ("text/plain;q=7", Form.JSON),
        (";;,,/;q==", Form.JSON),
    ],
)
def test_health_negotiates(accept: str | None, form: Form):
    assert choose(accept, HEALTH) is form


@given(st.text(alphabet='*/;,=q.01atext/plainjso \t"é', max_size=200), st.permutations(list(Form)))
def test_any_header_gives_an_offered_form(accept: str, offered: list[Form]):
    assert choose(accept, offered[:2]) in offered[:2]
