"""The built-in effects: a table of them, and the stage that plays any row of the table."""
