"""The sender: delivers the ends of jobs to webhooks; an asynchronous process of its own.

process          the process and its heartbeat
delivery_loop    claims the deliveries that are due, sends them, and records the outcomes
retry_policy     the next step of a delivery; receivers that are slow or failing
http_client      sends a request to a receiver, through the fetcher's guard

Called by deploy.
Calls fetcher, shared.
"""
