"""The only sender of keys, and the only user of httpcore: one exchange over real HTTP, sync and async.

It speaks to httpcore's connections, below httpx: they follow no redirect, keep no cookie and read no netrc, so a key
reaches the vendor's origin alone. Every outcome is returned, none raised: exceptions may hold requests, and requests
hold keys.
"""
