"""The sender: delivers the ends of jobs to webhooks; an asynchronous process of its own.

retry_policy     the next step of a delivery, by the outcome of an attempt
transport        the interface that sends a request to a receiver
http_client      sends through the fetcher's guard
endpoint_lanes   the receivers that are slow or failing, and how little is sent to them at once
outbox           the deliveries that are due, claimed from the database
delivery_loop    the loop
"""
