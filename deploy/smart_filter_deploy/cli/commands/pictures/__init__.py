"""Commands that process pictures, and show jobs and backgrounds."""
