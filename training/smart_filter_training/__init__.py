"""Training and evaluation: a distribution of its own, not needed to serve.

models/       one module per model: data, network, figures, export
annotations/  readers of annotated pictures (COCO, Dataturks, masks)
evaluation/   measures models on photos with known answers
run, trainable_models, preflight, run_record: a training run from check to export
loop, keras_learner, torch_learner: the one training loop, and networks in training
card, examples, onnx_export: code that models share
"""
