"""The HTTP face: takes photos in, answers what became of them, decodes nothing."""
