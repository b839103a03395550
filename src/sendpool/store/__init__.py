"""What is remembered: the only folder that knows SQL; it decides nothing."""
