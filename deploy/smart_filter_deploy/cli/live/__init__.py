"""A camera or video file sent through a live worker, frame by frame."""
