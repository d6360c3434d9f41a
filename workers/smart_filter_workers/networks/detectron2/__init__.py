"""detectron2: its zoo's configurations and checkpoints, read safely, with batched calls.

detectron2's own `merge_from_file` runs Python from YAML, its `_BASE_` opens any path, its
checkpoints are pickles, and their addresses are fetched on loading. None of that is used here: see
docs/detectron2.md.

Called by deploy, models, stages, training.
Calls shared, weights.
"""
