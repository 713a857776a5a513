"""`gramophone dream`: sound that maximises a tag, a channel or a layer of a tagger, from noise or from a clip."""
