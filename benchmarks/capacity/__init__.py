"""Capacity planning: a simulation of the service, and the tables of docs/capacity.md.

    python -m benchmarks.capacity      compute all tables, in some minutes

Inputs are `measured.toml` and `prices.toml`.

fleet        the inputs: what a photo needs of workers and servers
system       what a simulated service consists of
simulation   photos on their way through the service, event by event (SimPy)
worker_pool  the simulated workers
sizing       how many workers a load needs, where each server saturates, what a month costs
autoscale    workers that are added and removed with the queue
answers      all results, stored in `answers.json`
validation   measurements of the running system, stored by `python -m benchmarks.validation`
json_lines   how both are written
page         the tables of docs/capacity.md
"""
