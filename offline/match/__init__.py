"""`gramophone match`: the parameters of a chain that bring a dry recording to the style of a processed one."""
