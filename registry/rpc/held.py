"""Why a connection is not read from: bits, each taken away by whoever has set it."""

PEER_DOES_NOT_READ = 1
PEER_HAS_CALLS = 2
PEER_HAD_ITS_TURN = 4
SERVER_DRAINS = 8

RESUMED_BYTES_MAX = 1 << 20
"""Up to so many held-back bytes are looked at again for look-ups; beyond, it is a large request that is coming in."""
