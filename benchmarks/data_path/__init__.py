"""The data path beside a real HBase; `python -m benchmarks.data_path` runs it."""
