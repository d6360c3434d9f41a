"""DeepLabV3+ for persons: retrain it on COCO; the product's `onnx` model runs it.

The operator who trains it admits its weights: docs/training-detectors.md.

network   the network, in torch
train     what `smart-filter train` calls
"""
