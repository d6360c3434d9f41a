"""Turn an accepted request into a job or batch: recipe, admission, storage and rows."""
