"""Pictures used as backgrounds: store them, keep them in step with a place, serve them to jobs.

Called by artifacts, deploy, learning, maintenance.
Calls backgrounds, decoder, images, shared, system.
"""
