"""Pictures used as backgrounds: store them, keep them in step with a place, serve them to jobs.

Called by deploy, artifacts, learning, maintenance.
Calls shared, backgrounds, decoder, images, system.
"""
