"""Reader of ONNX files: what one says of its model, and whether that is a classifier of images."""
