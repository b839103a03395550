"""Carriers to rehearse against: a scripted SMPP message centre with seeded faults, and the demo that uses it."""
