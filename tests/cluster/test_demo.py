"""The show of the adapter, as a newcomer runs it, in an environment that has everything installed."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytestmark = [pytest.mark.zookeeper, pytest.mark.timeout(120)]
DEMO = Path(__file__).parent.parent.parent / "deploy" / "demo.py"


def start(*flags: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(DEMO), "adapter", *flags], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as page:
            return page.status == 200
    except urllib.error.URLError:
        return False


def test_once_shows_both_changes_on_both_adapters_and_leaves_nothing() -> None:
    with start("--once") as demo:
        output = demo.communicate(timeout=100)[0]
    assert demo.returncode == 0, output
    arrivals = re.findall(r"(adapter \d) answers (\S+) after +[\d.]+ ms", output)
    assert len(arrivals) == 4, output
    assert {name for name, _ in arrivals} == {"adapter 1", "adapter 2"}
    moved, elected = arrivals[0][1], arrivals[2][1]
    last_look_up = output[output.rindex("$ hbeacon lookup") :]
    assert moved in last_look_up, output
    assert elected in last_look_up, output
    pages = re.findall(r"http://127\.0\.0\.1:\d+/(?= |\n)", output)
    assert len(pages) == 2, output
    assert not any(map(answers, pages))


def test_ctrl_c_ends_everything() -> None:
    with start() as demo:
        assert demo.stdout is not None
        output = ""
        while "until Ctrl-C" not in output:
            line = demo.stdout.readline()
            assert line, output
            output += line
        page = re.findall(r"http://127\.0\.0\.1:\d+/(?= |\n)", output)[0]
        assert answers(f"{page}readyz")
        demo.send_signal(signal.SIGINT)
        output += demo.communicate(timeout=60)[0]
    assert demo.returncode == 0, output
    assert "nothing is left running" in output
    assert not answers(f"{page}readyz")
