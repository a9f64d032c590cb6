"""One read: what is sent, how a response becomes a Batch, and when to try again."""
