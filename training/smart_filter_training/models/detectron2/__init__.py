"""Detectors of detectron2: fine-tune Faster R-CNN or RetinaNet for faces, Mask R-CNN for persons.

They are built from the product's own checked configurations, trained by detectron2's own trainer,
and exported as the two files that `smart-filter models admit` takes. The operator who trains a
detector admits its weights: docs/training-detectors.md.

configuration   the settings of a run, and detectron2's configuration from them
detector        batches and the training loop
train           what `smart-filter train` calls
"""
