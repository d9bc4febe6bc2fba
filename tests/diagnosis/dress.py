"""Replies as models dress them: @ stands for the answer."""

from __future__ import annotations

AROUND = (
    "@", "**@**", "*@*", "__@__", "***@***", "`@`", "(@)", "[@]", "{@}", '"@"', "'@'", "“@”", "@.", "**@**.", "**@.**",
    "$@$", r"\(@\)", "$$\n@\n$$", r"\[ @ \]", r"\boxed{@}", r"$\boxed{@}$", r"\[\boxed{@}\]", r"\boxed{\text{@}}",
    r"\boxed{\boxed{@}}", r"$\mathbf{@}$", r"\textbf{@}", "\\boxed{\n@\n}", "```\n@\n```", "```text\n@\n```",
    "<b>@</b>", "<strong>@</strong>", "@<br>", "<|begin_of_box|>@<|end_of_box|>", "@ ✅", "\t@", "\n\n@", "\r\n@\r\n",
    "\u200b@\u200b", "\u00a0@",
)  # fmt: skip
"""What may be around an answer."""

ANNOUNCED = (
    "Answer: @", "Answer:@", "Answer : @", "answer: @", "ANSWER: @", "Final Answer: @", "Final answer: @",
    "FINAL ANSWER: @", "My answer: @", "**Answer:** @", "**Answer**: @", "*Answer:* @", "### Answer: @", "> Answer: @",
    "- Answer: @", "## Answer\n@", "# Final Answer\n\n@", "**Final Answer**\n\n@", "Answer：@", "Answer = @",
    "Answer (option or total): @",
    "Answer to the question: @", "Answer - @",
    "Answer — @", "<answer>@</answer>", "<answer>\n@\n</answer>", "<ANSWER>@</ANSWER>",
    "<final_answer>@</final_answer>", "<answer>Answer: @</answer>", "<answer>@", "The answer is @", "The answer is: @",
    "So the final answer is @", "Therefore, the answer is\n@", "Thus, my answer to the question is @",
    "In conclusion, the correct answer is @", "I see 3 and 4.\n\nAnswer: @", "Hence 5.\nSo, the answer is @",
    "Answer: 2\n\nAnswer: @", "Answer: 2\nThe final answer is @", "<think>Answer: 2</think>Answer: @",
    "<think>\nno\n</think>\n\nAnswer: @", "It may be 2.</think>\n\nAnswer: @", "[THINK]2[/THINK]Answer: @",
    "<thinking>2</thinking>\n<answer>@</answer>", "◁think▷2◁/think▷Answer: @",
)  # fmt: skip
"""What may announce one."""

WHOLE = (
    "**Answer: @**", "***Answer: @***", "`Answer: @`", "```\nAnswer: @\n```", "**Final Answer: @**",
    r"\boxed{Answer: @}",
    '{"answer": "@"}', '{ "answer" : "@" }', '{"reasoning": "I see 3, so 4.", "answer": "@"}',
    '```json\n{\n  "answer": "@"\n}\n```', '{"answer": "@", "confidence": 0.9}', "{'answer': '@'}",
    '{"final_answer": "@"}', '{"Answer": "Answer: @"}', '{"answer": "**@**"}', "I add them up: \\boxed{@}",
    "Hence it must be $\\boxed{@}$.", "Answer: 2\n\n\\boxed{@}", "Answer: @\nThat was easy.", "@",
    "```\n@\n```", "**@**", "<think>\nI see.\n</think>\n**@**",
)  # fmt: skip
"""Dresses that announce an answer in their own ways."""

DRESSES = tuple(dict.fromkeys([each.replace("@", around) for around in AROUND for each in ANNOUNCED] + list(WHOLE)))
