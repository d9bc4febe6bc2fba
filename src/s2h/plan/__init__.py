"""What the jobs of the workflow are given: inputs, params and resources, computed from the config for the rules."""
