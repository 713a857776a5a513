"""Fast numeric code: compilation by numba, matrix products, and executors of torch modules."""
