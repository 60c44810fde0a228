"""Rows: reading and writing them, wherever their regions are."""
