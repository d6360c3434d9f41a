"""What operators see and do: statistics, issues, consistency checks and bulk changes."""
