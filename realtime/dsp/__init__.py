"""Signal processing without stages or devices: delay lines, FIFOs, smoothing, meters, resampling, pitch."""
