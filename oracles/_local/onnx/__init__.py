"""What an ONNX file says of its model, and whether that is a classifier of images."""
