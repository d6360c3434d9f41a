"""Download, verify and open weights."""
