"""How numbers are computed fast: numba kernels, matrix products, and executors of torch modules."""
