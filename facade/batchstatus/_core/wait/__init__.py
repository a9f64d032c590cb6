"""Waiting: when to poll which batch next, and when a wait ends."""
