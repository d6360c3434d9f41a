"""User corrections, and the datasets built from those given with consent.

Called by api, workers, deploy, jobs.
Calls artifacts, db.
"""
