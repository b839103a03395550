"""RCS for Business: Google's RBM API, version 1."""
