"""``s2h eagle``: Eagle-X2 from released weights or from its parts, and back to the released names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from s2h.models.eagle.conversion import KeyReport

app = typer.Typer(
    name="eagle",
    help="Eagle-X2 from released weights or from its parts, and back to the released names.",
    no_args_is_help=True,
)
Source = Annotated[Path, typer.Argument(help="folder with config.json, safetensors files, tokenizer.json")]
Target = Annotated[Path, typer.Argument(help="folder to write; it must not be there")]
Largest = Annotated[float, typer.Option(min=1e-6, help="GB of a weight file")]


@app.command()
def convert(source: Source, target: Target, largest: Largest = 5.0) -> None:
    """Turn a released checkpoint into a model folder of ours."""
    from s2h.models.eagle.conversion import convert

    _print(convert(source, target, largest=_bytes(largest)))


@app.command()
def release(source: Source, target: Target, largest: Largest = 5.0) -> None:
    """Write a model folder of ours under the released names."""
    from s2h.models.eagle.conversion import release

    _print(release(source, target, largest=_bytes(largest)))


@app.command()
def assemble(
    clip: Annotated[Path, typer.Argument(help="folder of openai/clip-vit-large-patch14-336")],
    convnext: Annotated[Path, typer.Argument(help="folder of timm/convnext_xxlarge.clip_laion2b_soup_ft_in1k")],
    language: Annotated[Path, typer.Argument(help="folder of meta-llama/Meta-Llama-3-8B-Instruct")],
    target: Target,
    seed: Annotated[int, typer.Option(help="of the projector's weights")] = 0,
    largest: Largest = 5.0,
) -> None:
    """Put the parts together as they are published, with a random projector."""
    from s2h.models.eagle.assembly import assemble

    _print(assemble(clip, convnext, language, target, seed=seed, largest=_bytes(largest)))


def _bytes(gigabytes: float) -> int:
    return int(gigabytes * 1e9)


def _print(report: KeyReport) -> None:
    """Print the report on the keys."""
    print("\n".join(report.lines()))
