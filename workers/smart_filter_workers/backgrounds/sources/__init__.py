"""Who provides backgrounds: one file a source. Which there are for a job, stock/room.py says."""
