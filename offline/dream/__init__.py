"""`gramophone dream`: the sound that a tagger's tag, channel or layer likes best, from noise or from a clip."""
