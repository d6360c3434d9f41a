"""How well the finished picture prints: what is measured, and what is said of it."""
