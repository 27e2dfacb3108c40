"""Read an ONNX file: its inputs, outputs and weights, and whether it is a classifier of images."""
