"""The documentation as a site: what is generated for it, and how mkdocs is given it (`make docs`)."""
