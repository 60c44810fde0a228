"""The gRPC face: `hbeacon.registry.v1`, health and reflection."""
