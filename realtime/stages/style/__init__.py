"""The live style stage: moves the statistics of what comes in onto those of a clip."""
