"""The HTTP API: reads requests, checks them, answers in the contract's shapes. It decides nothing about sending."""
