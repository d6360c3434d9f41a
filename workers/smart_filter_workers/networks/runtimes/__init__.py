"""Run networks: ONNX Runtime, LiteRT, Keras files read as data, Haar cascades.

Called by training, networks.coverage, stages.segmentation.models, networks.faces,
stages.smile.models, models, stages.face.models, stages.segmentation.
Calls shared, weights.
"""
