"""One prepared run that proves and measures training and decoding on one GPU: see ``python -m benchmarks.gpu -h``."""
