"""Build responses that several routes share: jobs, files, long polls and event streams."""
