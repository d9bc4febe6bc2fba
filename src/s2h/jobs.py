"""The frame of every job of the workflow: checked inputs, one job per result, GPUs, cache, record."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from s2h.claims import claimed_gpus
from s2h.errors import DataError
from s2h.files import atomic_file, remove_parts
from s2h.logs import LOGGER, job_log
from s2h.paths import results_folder
from s2h.plugins import load_plugins
from s2h.provenance.cache import Cache, kept_results
from s2h.provenance.code import code_digest
from s2h.provenance.fingerprints import looks_unchanged, take_fingerprint
from s2h.provenance.job_facts import describe_job
from s2h.provenance.records import Record, input_contents, making, read_record, record_path

_DEAR_SECONDS = 60


def run_job(
    snakemake: Any,
    main: Callable[[], None],
    *,
    cached: bool = False,
    dear: bool = False,
    code: Sequence[str] = (),
    ignored_params: Collection[str] = (),
    extra_inputs: Sequence[str] = (),
) -> None:
    """Do the work of a job, and leave a record of it; a user's error ends the job in one line.

    The config's plugins are loaded first, and inputs are checked against their records. Two jobs never make the same
    result at once: the second one, for instance of a workflow that was started again while a job of the first still
    ran, waits, and takes what it finds.
    It sees the GPUs that its rule asks for (``resources: gpus``) and no others, and has them to itself.

    Args:
        snakemake: what Snakemake tells a script.
        main: makes the outputs.
        cached: whether the results may come from the cache that the config names, or from what is kept of this study,
            and go there.
        dear: whether they are kept however little time they took; else where they took ``_DEAR_SECONDS``.
        code: modules that decide the outputs and that the params have no digest of.
        ignored_params: names of params that do not decide what the outputs hold.
        extra_inputs: folders that the job reads although they may be no inputs of the rule, as a model of the user's.
    """
    with job_log(snakemake.log[0]):
        load_plugins(snakemake.config.get("plugins", ()))
        job = _Job.of(snakemake, code=code, ignored_params=ignored_params, extra_inputs=extra_inputs)
        with job.locked():
            if job.is_done():
                LOGGER.info("another job has produced this result meanwhile")
                return
            if not (cached and job.fetch()):
                started = datetime.now(UTC)
                with claimed_gpus(snakemake.resources.get("gpus", 0)):
                    main()
                own = describe_job(job.config, started)
                records = job.write([own] * len(job.outputs))
                if cached:
                    job.store(records, dear=dear or own["seconds"] >= _DEAR_SECONDS)


@dataclasses.dataclass(frozen=True, slots=True)
class _Job:
    """A job as its record tells of it.

    Attributes:
        results: folder of everything that the workflow makes.
        config: of the workflow.
        outputs: paths.
        record: what is known of it before it runs.
    """

    results: str
    config: dict[str, Any]
    outputs: list[str]
    record: Record

    @classmethod
    def of(
        cls, snakemake: Any, *, code: Sequence[str], ignored_params: Collection[str], extra_inputs: Sequence[str]
    ) -> _Job:
        """The job of a Snakemake script, with its inputs checked; the arguments are those of ``run_job``.

        Raises:
            DataError: an input is not what its record says.
        """
        config = dict(snakemake.config)
        results = results_folder(config.get("results", "results"))
        read = {*map(str, snakemake.input), *(path for path in extra_inputs if Path(path).is_dir())}
        inputs = {path: input_contents(path, results) for path in sorted(read)}
        params = recorded_params(snakemake.params, results)
        waited = {*map(str, _listed(snakemake.input.get("validated", [])))}  # for, but nothing is read from them
        wildcards = {name: str(value) for name, value in snakemake.wildcards.items()}
        deciding = {
            "rule": snakemake.rule,
            "wildcards": wildcards,
            "params": {name: value for name, value in params.items() if name not in ignored_params},
            "code": code_digest(*code) if code else "",
            "inputs": [[_below_results(path, results), held] for path, held in inputs.items() if path not in waited],
        }
        key = hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()
        record = Record("", snakemake.rule, wildcards, params, key, inputs, files={}, job={})
        return cls(results, config, [str(path) for path in snakemake.output], record)

    @property
    def key(self) -> str:
        """Digest of all that decides the outputs."""
        return self.record.key

    @property
    def cache(self) -> list[Cache]:
        """The cache that the config names, if any."""
        folder = self.config.get("cache")
        return [Cache(folder)] if folder else []

    def fetch(self) -> bool:
        """Take the outputs from where they are kept, if they are; their records tell of the job that made them."""
        for place in (kept := kept_results(self.results), *self.cache):
            if found := place.fetch(self.key, self.outputs):
                self.write([record.job for record in found], fetched="" if place is kept else str(place.folder))
                LOGGER.info("taken from %s: nothing that decides this result has changed", place)
                return True
        return False

    def store(self, records: Sequence[Record], *, dear: bool) -> None:
        """Keep the outputs, if they are dear, and put them into the cache."""
        for place in [*([kept_results(self.results)] if dear else []), *self.cache]:
            place.store(self.key, self.outputs, records)

    def _record_path(self, output: str) -> Path:
        place = record_path(output, self.results)
        if place is None:
            raise DataError(f"the rule {self.record.rule} writes {output}, which is not below {self.results}.")
        return place

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Wait until no other process makes these outputs, and keep others away."""
        with contextlib.ExitStack() as locks:
            for output in sorted(self.outputs):  # in one order, so that no two jobs wait for each other
                locks.enter_context(making(output, self._record_path(output)))
            try:
                yield
            except BaseException:
                self._forget()
                raise

    def is_done(self) -> bool:
        """Whether all outputs are there, made by a job like this one; clears away what is not whole."""
        try:
            records = [read_record(self._record_path(output)) for output in self.outputs]
            done = all(
                record.key == self.key and looks_unchanged(output, record.files)
                for output, record in zip(self.outputs, records, strict=True)
            )
        except DataError:
            done = False
        if not done:
            for output in self.outputs:
                self._write_record(output, "")
                remove_parts(output)
                remove_parts(self._record_path(output))
        return done

    def _forget(self) -> None:
        """Remove the records of outputs that were not made, so that a file brought by hand is no unfinished one."""
        for place in map(self._record_path, self.outputs):
            if place.exists() and place.stat().st_size == 0:
                place.unlink()

    def write(self, jobs: Sequence[dict[str, Any]], *, fetched: str = "") -> list[Record]:
        """Write the records of the outputs as they are now; from then on they count as whole.

        Args:
            jobs: for each output, what is known of the job that made it.
            fetched: folder of the cache from which they were taken.
        """
        records = []
        for output, job in zip(self.outputs, jobs, strict=True):
            files = take_fingerprint(output)
            if not files:
                raise DataError(f"the job {self.record.rule} ended without having written {output}.")
            records.append(dataclasses.replace(self.record, output=output, files=files, job=job, fetched=fetched))
        for record in records:
            self._write_record(record.output, record.to_json())
        return records

    def _write_record(self, output: str, text: str) -> None:
        """Write the record, or an empty one while the output is made; whoever reads it sees the old one or this."""
        with atomic_file(self._record_path(output)) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _listed(value: Any) -> list[Any]:
    """Named inputs: Snakemake gives a single one as it is."""
    return [value] if isinstance(value, str) else list(value)


def recorded_params(params: Any, results: str) -> dict[str, Any]:
    """The params of a job as its record has them.

    Args:
        params: as Snakemake has them.
        results: folder of everything that the workflow makes.
    """
    plain: dict[str, Any] = _below_results({name: _plain(value) for name, value in params.items()}, results)
    return plain


def _plain(value: Any) -> Any:
    """A param as JSON has it."""
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def _below_results(value: Any, results: str) -> Any:
    """Paths of results under one name, wherever they lie, so that two checkouts have the same keys."""
    if isinstance(value, dict):
        return {name: _below_results(each, results) for name, each in value.items()}
    if isinstance(value, list):
        return [_below_results(each, results) for each in value]
    if isinstance(value, str) and value.startswith(f"{results}/"):
        return f"results{value[len(results) :]}"
    return value
