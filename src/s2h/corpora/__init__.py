"""Corpora of conversations about images, from their published layout to checked shards and mixtures."""
