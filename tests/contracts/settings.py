"""Small settings of every registered task in both styles: the numbers that shipped configs are built on."""

from __future__ import annotations

from typing import Any

IMAGE_SIZES = {
    "consecutive_table_readout": (1500, 800),
    "table_readout": (1500, 800),
    "grid_navigation": (1000, 1000),
    "visual_analogy": (800, 900),
}
"""Width and height in pixels of the paper's images."""

COMPACT_SIZE = (96, 96)
"""Width and height in pixels of every compact image."""

_COUNTS = {"train": 4, "eval": 2}

_HELD_OUT = {
    "XOR": ["shape size", "shape position"],
    "OR": ["shape type", "shape position"],
    "AND": ["line colour", "shape colour"],
    "Progression": ["shape type", "line colour"],
}

_PAPER: dict[str, dict[str, Any]] = {
    "consecutive_table_readout": {
        "rows": [5, 5],
        "columns": [10, 10],
        "levels": {
            "SIMPLE": {"path_length": [5, 10]},
            "MEDIUM": {"path_length": [15, 20]},
            "HARD": {"path_length": [25, 30]},
        },
    },
    "table_readout": {
        "rows": [7, 12],
        "columns": [7, 10],
        "levels": {
            "SIMPLE": {
                "families": [
                    {"family": "random", "pieces": [1, 2, 3, 4], "reach": 4, "share": 1},
                    {"family": "sinusoidal", "pieces": [3, 4], "gaps": [0, 1], "share": 1},
                    {"family": "spiral", "pieces": [3, 4], "gaps": [0, 1], "share": 1},
                ],
                "turns": [0, 4],
                "path_length": [5, 30],
            },
            "HARD": {
                "families": [
                    {"family": "sinusoidal", "pieces": [8, 10], "gaps": [0, 1], "share": 1},
                    {"family": "spiral", "pieces": [6, 8], "gaps": [0, 1], "share": 1},
                    {"family": "compositional", "pieces": [8, 10], "share": 1},
                ],
                "turns": [5, 20],
                "path_length": [31, 80],
            },
        },
    },
    "grid_navigation": {
        "rows": [8, 12],
        "columns": [8, 12],
        "obstacle_share": 0.35,
        "levels": {
            "SIMPLE": {"objects": [1, 2], "obstacle_kinds": [1, 1], "steps": [10, 25]},
            "HARD": {"objects": [2, 5], "obstacle_kinds": [3, 5], "steps": [26, 60]},
        },
    },
    "visual_analogy": {
        "sizes": [20, 27, 34, 41],
        "held_out": _HELD_OUT,
        "levels": {"SIMPLE": {}, "HARD": {}},
    },
}

_COMPACT: dict[str, dict[str, Any]] = {
    "consecutive_table_readout": {
        "rows": [5, 5],
        "columns": [5, 5],
        "levels": {
            "SIMPLE": {"path_length": [3, 5]},
            "MEDIUM": {"path_length": [6, 7]},
            "HARD": {"path_length": [8, 10]},
        },
    },
    "table_readout": {
        "rows": [4, 5],
        "columns": [4, 5],
        "levels": {
            "SIMPLE": {
                "families": [
                    {"family": "random", "pieces": [1, 2, 3], "reach": 2, "share": 1},
                    {"family": "sinusoidal", "pieces": [2], "gaps": [0], "share": 1},
                    {"family": "spiral", "pieces": [1, 2], "gaps": [0], "share": 1},
                ],
                "turns": [0, 2],
                "path_length": [3, 6],
            },
            "HARD": {
                "families": [
                    {"family": "sinusoidal", "pieces": [4, 5], "gaps": [0], "share": 1},
                    {"family": "spiral", "pieces": [3, 4], "gaps": [0], "share": 1},
                    {"family": "compositional", "pieces": [2, 3], "share": 1},
                ],
                "turns": [3, 6],
                "path_length": [8, 12],
            },
        },
    },
    "grid_navigation": {
        "rows": [5, 5],
        "columns": [5, 5],
        "obstacle_share": 0.4,
        "levels": {
            "SIMPLE": {"objects": [1, 2], "obstacle_kinds": [1, 1], "steps": [3, 7]},
            "HARD": {"objects": [2, 3], "obstacle_kinds": [2, 3], "steps": [8, 14]},
        },
    },
    "visual_analogy": {
        "sizes": [33, 40, 47],
        "held_out": _HELD_OUT,
        "levels": {"SIMPLE": {}, "HARD": {}},
    },
}


def task_settings(name: str, style: str) -> dict[str, Any]:
    """Valid settings of a task as a config file would hold them; a fresh copy, free to be changed."""
    task = (_COMPACT if style == "compact" else _PAPER)[name]
    levels = {level: {**_COUNTS, **settings} for level, settings in task["levels"].items()}
    return {**task, "style": style, "levels": levels}
