"""WaveNet played: sampled a chunk at a time, fast enough to be an instrument."""
