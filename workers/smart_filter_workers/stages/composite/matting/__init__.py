"""Matting: the small matte brought to the photo's size, and the people's own colours."""
