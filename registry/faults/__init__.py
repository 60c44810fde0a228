"""Faults on demand: what a server is told to do wrong, so that users test their clients. Pure: no socket, no clock."""
