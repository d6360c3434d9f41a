"""The guarded fetcher: what others name by an address on the web is fetched here alone.

Whoever sends an address has this machine connect to where they want: to its own servers, to
their neighbours, to what a cloud tells its machines ("server-side request forgery"). So only
public hosts are reached (`ranges`), by the addresses that were checked (`guard`,
`connecting`), within limits (`fetching`).
"""

from smart_filter_workers.fetcher.fetching import Fetched, Fetcher, Limits

__all__ = ["Fetched", "Fetcher", "Limits"]
