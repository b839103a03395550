"""Notify: hand stored events over to sinks, in a process of its own beside the one that sends."""
