"""Sockets of the HBase RPC protocol on asyncio: server, scheduler, client."""
