"""The report on a corpus: counts, entries dropped by reason, and whether enough is left."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable

from s2h.errors import DataError
from s2h.files import atomic_file

_EXAMPLES = 5  # of each reason


@dataclasses.dataclass(slots=True)
class Findings:
    """Counts of kept and dropped entries; those of several shards are added up in their order.

    Attributes:
        kept: entries that are trained on.
        text_only: of these the ones without an image.
        responses: turns of the model in them.
        image_bytes: bytes of their images.
        formats: how many images are of each format.
        dropped: how many entries were dropped, by reason.
        examples: of each reason the first ones, as ``id: what was found``.
    """

    kept: int = 0
    text_only: int = 0
    responses: int = 0
    image_bytes: int = 0
    formats: dict[str, int] = dataclasses.field(default_factory=dict)
    dropped: dict[str, int] = dataclasses.field(default_factory=dict)
    examples: dict[str, list[str]] = dataclasses.field(default_factory=dict)

    @property
    def read(self) -> int:
        """The number of entries read."""
        return self.kept + sum(self.dropped.values())

    @property
    def share(self) -> float:
        """Share of the entries that is kept; 0 where there is none."""
        return self.kept / self.read if self.read else 0.0

    def keep(self, *, turns: int, image_bytes: int, form: str) -> None:
        """Count an entry that is kept; ``form`` is the format of its image, empty for none."""
        self.kept += 1
        self.text_only += 0 if form else 1
        self.responses += turns
        self.image_bytes += image_bytes
        if form:
            self.formats[form] = self.formats.get(form, 0) + 1

    def drop(self, reason: str, entry: str, detail: str) -> None:
        """Count an entry that is dropped."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
        shown = self.examples.setdefault(reason, [])
        if len(shown) < _EXAMPLES:
            shown.append(f"{entry}: {detail}")

    def add(self, other: Findings) -> None:
        """Add the findings on the entries that follow."""
        for name in ("kept", "text_only", "responses", "image_bytes"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for counts, more in ((self.formats, other.formats), (self.dropped, other.dropped)):
            for name, number in more.items():
                counts[name] = counts.get(name, 0) + number
        for reason, examples in other.examples.items():
            self.examples[reason] = [*self.examples.get(reason, []), *examples][:_EXAMPLES]

    def to_json(self) -> str:
        """The findings as JSON; the same findings give the same text."""
        return json.dumps({"read": self.read, **dataclasses.asdict(self)}, indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> Findings:
        """The findings that ``to_json`` wrote."""
        values = json.loads(text)
        values.pop("read")
        return cls(**values)


def write_report(
    corpus: str, findings: Iterable[Findings], *, min_kept_fraction: float, json_path: str, markdown_path: str
) -> None:
    """Add up the findings of a corpus's shards and write them for programs and for people.

    Raises:
        DataError: too few entries are good; the message holds the whole report, and no file is written.
    """
    total = Findings()
    for each in findings:
        total.add(each)
    markdown = to_markdown(corpus, total)
    if not total.kept or total.share < min_kept_fraction:
        raise DataError(
            f"the corpus {corpus}: {total.kept:,} of {total.read:,} entries ({total.share:.1%}) are good, fewer than "
            f"corpora.{corpus}.min_kept_fraction = {min_kept_fraction:g}: see below what was dropped, add the missing "
            f"archives (corpora.{corpus}.images), or lower min_kept_fraction.\n\n{markdown}"
        )
    with atomic_file(json_path) as temporary:
        temporary.write_text(total.to_json() + "\n")
    with atomic_file(markdown_path) as temporary:
        temporary.write_text(markdown, encoding="utf-8")


def to_markdown(corpus: str, findings: Findings) -> str:
    """Counts, and a table of what was dropped."""
    formats = ", ".join(f"{number:,} {form}" for form, number in sorted(findings.formats.items())) or "none"
    lines = [
        f"# Corpus report: {corpus}",
        "",
        f"{findings.read:,} entries were read and {findings.kept:,} kept ({findings.share:.2%}): "
        f"{findings.kept - findings.text_only:,} with an image, {findings.text_only:,} of text alone, with "
        f"{findings.responses:,} responses. Their images: {formats}; {findings.image_bytes:,} bytes.",
        "",
    ]
    if findings.dropped:
        lines += ["| dropped because | entries | first of them |", "| --- | --: | --- |"]
    for reason, number in sorted(findings.dropped.items(), key=lambda each: (-each[1], each[0])):
        shown = "<br>".join(_cell(example) for example in findings.examples[reason])
        lines.append(f"| {reason} | {number:,} | {shown} |")
    return "\n".join(lines) + ("\n" if findings.dropped else "")


def _cell(text: str) -> str:
    """Text of a corpus as a cell of a table shows it: short, and with nothing that ends the cell."""
    plain = " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
    return plain if len(plain) <= 160 else f"{plain[:159]}…"
