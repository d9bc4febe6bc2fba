"""What the workflow's jobs are given: inputs, params and resources, computed from the config. Rules call this package."""
