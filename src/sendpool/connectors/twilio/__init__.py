"""Twilio Programmable Messaging as a carrier."""
