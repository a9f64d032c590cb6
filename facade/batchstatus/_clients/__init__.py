"""The clients: sync and async drivers of the rules in `_core`."""
