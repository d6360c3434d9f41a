"""S3 folders: objects that are put under a prefix become jobs, and results go to another prefix.

Called by routes, deploy.
Calls shared, submission, intake, services, auth, http, presenters, problems.
"""
