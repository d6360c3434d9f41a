"""Annotations: boxes and outlines that people drew, from COCO JSON or Dataturks JSON lines.

Each problem of a file is a finding with its place and the remedy; addresses in a file are never
fetched.
"""
