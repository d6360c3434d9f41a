"""Stored files of jobs: uploads, references, the result cache, expiry and retention."""
