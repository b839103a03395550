"""What happens to a message, one verb a file: accept, send, receive, settle, sweep."""
