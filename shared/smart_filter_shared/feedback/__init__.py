"""User corrections, and the datasets built from those given with consent.

Called by api, deploy, jobs, workers.
Calls artifacts, db, wire.
"""
