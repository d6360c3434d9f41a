"""How much of everything a load needs: a simulation of the service, and what it answers.

    python -m capacity      all answers, of the figures in `measured.toml` and `prices.toml`

fleet       the figures: what a photo asks of workers and servers
simulation  photos on their way through them, event by event (SimPy)
autoscale   workers that come and go with the queue
sizing      how many workers a load needs, where each server saturates, what a month costs
report      the answers as tables

docs/capacity.md says what came out, and how far it can be trusted.
"""
