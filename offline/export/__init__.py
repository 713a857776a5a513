"""Export of models to other programs: ONNX, and TorchScript for nn~; each file is checked before it gets its name."""
