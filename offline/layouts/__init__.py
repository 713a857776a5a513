"""Ready sessions for other programs' control surfaces, made from a preset's parameter table and macros."""
