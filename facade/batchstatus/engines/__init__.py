"""Workflow engines that wait for batches: one module each, with an extra of its own."""
