"""Blind baselines: how often an answer is right that was guessed without solving the puzzle."""
