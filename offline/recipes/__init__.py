"""Recipes: each rebuilds a set of files that the repository carries, from public sources, by one command."""
