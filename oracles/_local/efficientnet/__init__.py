"""EfficientNet-Lite0 for ONNX Runtime, from a checkpoint that is read without torch."""
