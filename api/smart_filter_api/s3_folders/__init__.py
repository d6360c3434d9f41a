"""S3 folders: objects that are put under a prefix become jobs, and results go to another prefix.

Called by deploy, routes.
Calls auth, http, intake, presenters, problems, services, shared, submission.
"""
