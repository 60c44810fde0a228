"""Message definitions of the HBase wire protocol; see :mod:`protos.generate` for how the modules are made."""
