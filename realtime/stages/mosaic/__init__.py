"""The mosaic stage: puts its input together from the sounds of a clip."""
