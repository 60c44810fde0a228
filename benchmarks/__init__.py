"""Measurements side by side with a real HBase; `python -m benchmarks.registry` runs them."""
