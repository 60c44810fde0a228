"""The first of the README's two commands, as a newcomer runs it, in an environment that has everything installed."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import accepts

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]
DEMO = Path(__file__).parent.parent.parent / "deploy" / "demo.py"


def start(*flags: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(DEMO), *flags], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def pages(output: str) -> list[int]:
    """Ports of the pages that are named last."""
    return [int(port) for port in re.findall(r"http://127\.0\.0\.1:(\d+)/", output[output.rindex("pages: ") :])]


def test_once_shows_both_paths_and_a_fail_over_and_leaves_nothing() -> None:
    with start("--once") as demo:
        output = demo.communicate(timeout=100)[0]
    assert demo.returncode == 0, output
    assert re.search(r"hbeacon dev ready zookeeper=\S+ masters=\S+,\S+ http=\S+", output), output
    cluster_id = re.search(r"cluster id +(\S+)", output)
    assert cluster_id is not None
    assert output.count(cluster_id[1]) == 3, "the announcement and two look-ups"
    before = re.search(r"\(decoded\) (\S+)", output)
    after = re.search(r"master\d answers (\S+) after \d+ ms; \d+ look-ups meanwhile, none refused", output)
    assert before is not None, output
    assert after is not None, output
    assert before[1] != after[1]
    assert after[1] in output[output.rindex("$ hbeacon lookup") :]
    assert len(pages(output)) == 2
    assert not any(accepts("127.0.0.1", port) for port in pages(output))


def test_ctrl_c_ends_everything() -> None:
    with start() as demo:
        assert demo.stdout is not None
        output = ""
        while "until Ctrl-C;" not in output:
            line = demo.stdout.readline()
            assert line, output
            output += line
        port = pages(output)[0]
        assert accepts("127.0.0.1", port)
        demo.send_signal(signal.SIGINT)
        output += demo.communicate(timeout=60)[0]
    assert demo.returncode == 0, output
    assert "nothing is left running" in output
    assert not accepts("127.0.0.1", port)
