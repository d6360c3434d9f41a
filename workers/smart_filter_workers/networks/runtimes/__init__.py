"""Run networks: ONNX Runtime, LiteRT, Keras files read as data, Haar cascades."""
