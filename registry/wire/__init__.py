"""Bytes of the HBase RPC protocol, sans-IO: no socket, clock, thread or random source is known here."""
