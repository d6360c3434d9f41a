"""Who provides backgrounds: one file a source. Which there are for a job, artifacts.py says."""
