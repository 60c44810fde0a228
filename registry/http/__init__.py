"""The HTTP face: health, metrics, status page and the registry as JSON."""
