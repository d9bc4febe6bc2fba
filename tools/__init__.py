"""What developers run: nothing that the package or the workflow needs."""
