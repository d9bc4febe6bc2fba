"""From an example to what a model reads: its text in the chat template, token ids, the loss mask, and their number."""
