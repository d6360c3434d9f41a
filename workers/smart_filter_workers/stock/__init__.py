"""Pictures that are kept as backgrounds: taken in, kept in step with folders, given to jobs."""
