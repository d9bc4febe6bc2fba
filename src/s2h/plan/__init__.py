"""The plan of the workflow's jobs: inputs, params and resources, computed from the config for the rules."""
