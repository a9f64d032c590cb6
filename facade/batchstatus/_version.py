"""The version of the distribution, the User-Agent and the changelog."""

__version__ = "0.1.0"
