"""The plan of the workflow's jobs: inputs, params and resources, computed from the config for the rules."""

PLAN_HEAD = "Plan of "
"""How the first line of the plan of a study begins (``study_plan``)."""
