"""Annotations: boxes and outlines that people drew, read from COCO JSON or Dataturks JSON lines.

`reading.read` finds out which of both a file is. Everything wrong with one is a finding
with the file's name and the remedy; addresses in a file are never fetched.
"""
