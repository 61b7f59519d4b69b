"""The language of homework: Python and NumPy as students write them, read as text and run over real arrays."""
