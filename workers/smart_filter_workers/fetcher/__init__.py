"""The guarded fetcher: the only code that downloads from addresses named by clients.

Such an address makes this machine connect wherever a client wants: to its own servers, to their
neighbors, or to a cloud's metadata service ("server-side request forgery", SSRF). Therefore only
public hosts are reached (shared/…/security/outbound_rules.py), at addresses that were checked
(`ssrf_guard`, `guarded_backend`), within limits (`fetch`).

Called by artifacts, learning, sender.
Calls shared.
"""

from smart_filter_workers.fetcher.fetch import FetchedFile, Fetcher, FetchLimits

__all__ = ["FetchLimits", "FetchedFile", "Fetcher"]
