"""How much of everything a load needs: a simulation of the service, and what it answers.

    python -m capacity      all answers, of the figures in `measured.toml` and `prices.toml`

fleet       the figures: what a photo asks of workers and servers
system      what a simulated service is made of
simulation  photos on their way through it, event by event (SimPy); workers: who serves them
sizing      how many workers a load needs, where each server saturates, what a month costs
autoscale   workers that come and go with the queue
answers     all of it, kept in `answers.json`
validated   what the running system did beside, kept by `python -m benchmarks.validation`
kept        how both are written
page        the tables of docs/capacity.md, which also says how far to trust them
"""
