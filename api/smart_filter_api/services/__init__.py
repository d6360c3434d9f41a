"""The state of one API process: connections, caches, the ETA estimator and background loops."""
