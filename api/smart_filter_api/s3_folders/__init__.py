"""S3 folders: objects that are put under a prefix become jobs, and results go to another prefix."""
