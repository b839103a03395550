"""A carrier that exists nowhere: it delivers everything, except to the magic recipients that ask for a failure."""
