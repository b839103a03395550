"""Sendpool: a self-hosted messaging switch whose pools spread, fail over and explain."""

__version__ = "0.1.0"
