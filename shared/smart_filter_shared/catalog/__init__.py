"""Names that recipes can use: emotions, filters, model cards and their parameters."""
