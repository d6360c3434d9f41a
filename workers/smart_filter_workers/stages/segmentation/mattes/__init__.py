"""Join, correct and sharpen mattes."""
