"""What authors of connectors test with: a virtual clock and the suite that every connector must pass."""
