"""Check: other people's equations and code, judged by their values; the first mistake by its line, nature and mend."""
