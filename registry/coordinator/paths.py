"""Which paths can name a node. Source: PathUtils.validatePath."""

from __future__ import annotations

import re

_find_forbidden = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\uf8ff\ufff0-\U0010ffff]").search
"""Control characters, and what Java sees as surrogates, private use or specials; all above U+FFFF is surrogates."""


def is_valid_path(path: str) -> bool:
    """Whether it is absolute and canonical: no empty, `.` or `..` segment, no slash at the end, no odd characters."""
    if path == "/":
        return True
    if not path.startswith("/") or path.endswith("/") or "//" in path:
        return False
    if not (path.isascii() and path.isprintable()) and _find_forbidden(path):
        return False
    return "/." not in path or not any(segment in (".", "..") for segment in path.split("/"))
