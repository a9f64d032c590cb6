"""One read: its request, how a response becomes a Batch, and when to try again."""
