"""The data path: regions and their engines. May import registry, never the other way round."""
