"""The only sender of keys, and the only user of httpx: one exchange over real HTTP, sync and async.

It speaks to httpx's transports, not to its Client: they follow no redirect, keep no cookie and read no netrc, so a
key reaches the vendor's origin alone. Every outcome is returned, none raised: httpx's exceptions hold requests,
and requests hold keys.
"""
