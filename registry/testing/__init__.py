"""Clusters for tests: a pytest plugin, a process that is loaded once and forks them, and what tests may do to them."""
