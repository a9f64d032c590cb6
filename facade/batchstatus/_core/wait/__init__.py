"""Waiting: when to poll which batch next, and what ends a wait."""
