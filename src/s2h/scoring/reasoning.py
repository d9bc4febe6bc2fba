"""The reasoning that a model writes down before its response; ``s2h.diagnosis.answers`` leaves it out of judging."""


def with_reasoning(reasoning: str, response: str) -> str:
    """A prediction from both, where a server gives them apart."""
    return f"<think>\n{reasoning}\n</think>\n\n{response}" if reasoning else response
