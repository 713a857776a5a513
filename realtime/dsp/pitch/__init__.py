"""Live pitch tracking of one voice or instrument, hop by hop, with a stated look-ahead."""
