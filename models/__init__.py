"""Networks, the layers they stream through, style statistics and checkpoints.

The law of this room: the same forward, whole or in chunks. Tensors and state in, tensors and state out; no devices,
no threads, no clocks.
"""
