"""Models in this process, run by ONNX Runtime."""
