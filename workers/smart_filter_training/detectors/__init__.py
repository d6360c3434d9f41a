"""What fine-tuning detectron2's detectors takes, whatever they find.

Built out of the product's own checked configurations, trained by detectron2's own trainer,
exported as the two files that `smart-filter models admit` takes: see docs/training-detectors.md.
"""
