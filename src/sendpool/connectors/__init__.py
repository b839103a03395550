"""Who carries it: one folder per carrier protocol; each sees `domain/` and `base.py` only."""
