"""The adapter role: a registry beside an existing HBase cluster."""
