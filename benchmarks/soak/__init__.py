"""A long run of many clients against adapters that are hurt all the time; `python -m benchmarks.soak` starts it."""
