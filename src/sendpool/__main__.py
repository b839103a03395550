"""`python -m sendpool` is `sendpool`."""

from sendpool.cli import main

if __name__ == "__main__":
    main()
