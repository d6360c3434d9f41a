"""detectron2: its zoo's configurations read safely, its checkpoints read safely, batched calls.

detectron2's own `merge_from_file` runs Python out of YAML, its `_BASE_` opens any path, its
checkpoints are pickles and their addresses are fetched by whoever loads them. None of that is
used here: see docs/detectron2.md.
"""
