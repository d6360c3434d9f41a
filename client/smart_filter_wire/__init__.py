"""The types of the API's answers, declared once: standard-library dataclasses, nothing else.

The API serializes and describes them in OpenAPI, workers store the findings among them, and the
Python client parses answers into them. A docstring is the description of its type in OpenAPI.

words     the words that fields hold
formats   numbers, times and ids as they are written
findings, printability, document_report, takes, jobs, batches, corrections   jobs and results
catalog, pictures, webhooks, tenants, uploads, problems     everything else
"""
