"""The version of this code, known without looking at what is installed."""

from __future__ import annotations

VERSION = "0.1.0.dev0"
