"""Carriers that speak SMPP 3.4: connector, session and codec."""
