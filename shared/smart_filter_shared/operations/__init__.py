"""Statistics, issues, consistency checks and bulk changes for operators."""
