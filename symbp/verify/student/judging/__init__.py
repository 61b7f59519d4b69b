"""Whether what a backward pass gives is the gradient; if not, which line is wrong, and what to write instead."""
