"""How the functions of a file are called, with which arrays, and runs of them."""
