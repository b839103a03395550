"""The web console: what an account has and does, in a browser."""
