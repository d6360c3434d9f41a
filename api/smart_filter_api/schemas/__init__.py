"""The shapes of requests and answers, as the contract gives them; they make the OpenAPI document.

One module for each kind of thing that the API shows.
"""
