"""Run networks: ONNX Runtime, LiteRT, Keras files read as data, Haar cascades.

Called by learning, models, networks.coverage, networks.faces, stages, training.
Calls shared, weights.
"""
