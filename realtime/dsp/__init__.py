"""Signal processing that knows no models and no devices: delay lines, FIFOs, smoothing, resampling, pitch."""
