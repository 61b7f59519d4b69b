"""Student NumPy: read, interpreted over real arrays in a limited child, and judged by its own forward pass."""
