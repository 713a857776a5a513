"""`gramophone stylise`: the style of one recording for another, by descent, slowly."""
