"""Hands over: checkpoints to ONNX files, and the runtime that serves them."""
