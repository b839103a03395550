"""Any HTTP API as a carrier, by configuration alone."""
