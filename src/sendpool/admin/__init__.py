"""Administration: named commands that the running server carries out, or the command line itself where none runs."""
