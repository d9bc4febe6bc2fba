"""Every line that runs only with CUDA, NCCL, bf16 or several GPUs, and what runs it.

Such lines are found by their words, in code and not in its comments. They are listed by the file and the function that
hold them, with how many they are, and what runs them: a test, most often with a CUDA that is made up, or a section of
``python -m benchmarks.gpu``, which is run on a GPU. ``python -m tests.test_accelerators`` prints the list as it should
be, with what is not proved yet.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.shipped import ROOT

_WORDS = re.compile(
    r"cuda|nccl|bf16|bfloat16|tf32|flash_att|vllm|liger|triton|pin_memory|on_gpu|outofmemory|autocast|fake_gpus",
    re.IGNORECASE,
)
_FOLDERS = ("src", "workflow", "benchmarks")
_ON_A_GPU = ROOT / "benchmarks/gpu"
"""Its own lines need no list: running them is what it is for."""

RUN_BY: dict[str, dict[str, tuple[int, str]]] = {
    "benchmarks/plan.py": {
        "snakemake": (
            1,
            "tests/benchmarks/test_plan.py::test_a_small_workflow_is_planned_done_and_has_nothing_left_to_do",
        ),
    },
    "src/s2h/claims.py": {
        "_folder": (1, "tests/test_claims.py::test_gpus_that_are_there_and_cannot_be_used_are_an_error"),
        "claimed_gpus": (1, "tests/test_claims.py::test_gpus_that_are_there_and_cannot_be_used_are_an_error"),
    },
    "src/s2h/cli/score_command.py": {
        "score": (1, "tests/cli/test_score.py::test_the_config_that_is_written_is_one_run_of_what_was_asked"),
    },
    "src/s2h/config_checks.py": {
        "_odd_model": (1, "tests/test_config_mistakes.py::test_a_mistake_is_answered_once_in_plain_words_at_its_place"),
        "_odd_training": (
            2,
            "tests/test_config_mistakes.py::test_a_mistake_is_answered_once_in_plain_words_at_its_place",
        ),
        "_run": (1, "tests/test_config_mistakes.py::test_a_mistake_is_answered_once_in_plain_words_at_its_place"),
        "_vllm": (5, "tests/test_config.py::test_vllm_is_looked_for_before_anything_runs"),
    },
    "src/s2h/devices.py": {
        "_reasons": (5, "tests/test_devices.py::test_what_keeps_gpus_from_being_used_is_found"),
        "count_gpus": (1, "tests/test_devices.py::test_gpus_are_those_that_the_driver_lists_or_that_have_a_device"),
        "fake_gpus": (2, "tests/test_devices.py::test_gpus_are_seen_as_cuda_sees_them"),
        "local_device": (4, "tests/test_devices.py::test_each_process_has_the_gpu_of_its_number"),
        "module": (2, "tests/test_devices.py::test_gpus_are_seen_as_cuda_sees_them"),
        "usable_gpus": (1, "tests/test_devices.py::test_each_process_has_the_gpu_of_its_number"),
    },
    "src/s2h/models/attention.py": {
        "attend": (1, "tests/models/test_attention.py::test_a_gpu_computes_them_in_one_kernel"),
        "module": (1, "tests/models/test_attention.py::test_a_gpu_computes_them_in_one_kernel"),
    },
    "src/s2h/models/disk.py": {
        "stored": (1, "tests/models/test_disk.py::test_the_papers_study_is_told_before_it_fills_the_disk"),
    },
    "src/s2h/models/eagle/assembly.py": {
        "_config": (1, "tests/models/test_eagle_assembly.py::test_it_loads_with_every_key_and_the_sizes_of_its_parts"),
        "module": (1, "tests/models/test_eagle_assembly.py::test_it_loads_with_every_key_and_the_sizes_of_its_parts"),
    },
    "src/s2h/models/eagle/modelling.py": {
        "EagleX2VisionModel": (1, "benchmarks.gpu: eagle"),
    },
    "src/s2h/models/eagle/released_config.py": {
        "to_released": (1, "tests/models/test_eagle_conversion.py::test_a_trained_model_is_released_too"),
    },
    "src/s2h/models/eagle/safetensors_files.py": {
        "module": (1, "tests/models/test_eagle_conversion.py::test_there_and_back_all_bytes_are_the_same"),
    },
    "src/s2h/models/kernels.py": {
        "_feed_forward": (2, "tests/models/test_kernels.py::test_norms_and_feed_forward_layers_are_computed_by_liger"),
        "_norm": (2, "tests/models/test_kernels.py::test_norms_and_feed_forward_layers_are_computed_by_liger"),
        "_take_liger": (5, "tests/models/test_kernels.py::test_norms_and_feed_forward_layers_are_computed_by_liger"),
        "choose_kernels": (4, "tests/models/test_kernels.py::test_norms_and_feed_forward_layers_are_computed_by_liger"),
    },
    "src/s2h/models/loading.py": {
        "fastest_attention": (1, "tests/test_devices.py::test_alignment_is_measured_on_the_gpu"),
        "module": (1, "tests/test_devices.py::test_alignment_is_measured_on_the_gpu"),
    },
    "src/s2h/models/settings.py": {
        "ModelSettings._vllm_has_gpus": (3, "tests/test_config.py::test_vllm_is_looked_for_before_anything_runs"),
        "ModelSettings.served_by_vllm": (2, "tests/test_config.py::test_vllm_is_looked_for_before_anything_runs"),
        "ScoringSettings": (1, "tests/docs/test_generated.py::test_the_generated_files_are_those_of_the_command"),
        "TrainingSettings": (3, "tests/docs/test_generated.py::test_the_generated_files_are_those_of_the_command"),
        "module": (1, "tests/training/test_precision.py::test_auto_is_bf16_where_it_is_computed_by_the_device"),
    },
    "src/s2h/models/sources.py": {
        "ComposedSource": (1, "tests/test_config.py::test_vllm_is_looked_for_before_anything_runs"),
        "ModelSource": (1, "tests/test_config.py::test_vllm_is_looked_for_before_anything_runs"),
        "ReleasedEagleSource": (1, "tests/test_config.py::test_vllm_is_looked_for_before_anything_runs"),
    },
    "src/s2h/one_model.py": {
        "one_model_config": (
            2,
            "tests/cli/test_score.py::test_the_config_that_is_written_is_one_run_of_what_was_asked",
        ),
    },
    "src/s2h/scoring/backends.py": {
        "VllmBackend": (1, "tests/scoring/test_vllm.py::test_predictions_through_vllm_are_those_of_our_own_decoding"),
        "VllmBackend.__init__": (
            1,
            "tests/scoring/test_vllm.py::test_predictions_through_vllm_are_those_of_our_own_decoding",
        ),
        "gpu_memory": (1, "tests/scoring/test_vllm.py::test_gpus_that_are_not_there_or_too_small_are_errors"),
        "shape_of": (2, "tests/scoring/test_vllm.py::test_the_shape_of_a_model_is_read_from_its_config"),
        "vllm_backend": (8, "tests/scoring/test_vllm.py::test_predictions_through_vllm_are_those_of_our_own_decoding"),
        "vllm_backend.command": (
            1,
            "tests/scoring/test_vllm.py::test_predictions_through_vllm_are_those_of_our_own_decoding",
        ),
    },
    "src/s2h/scoring/decode_and_score.py": {
        "open_backend": (3, "tests/scoring/test_vllm.py::test_predictions_through_vllm_are_those_of_our_own_decoding"),
    },
    "src/s2h/scoring/decoding.py": {
        "Decoder.__call__": (2, "tests/scoring/test_decoding.py::test_a_batch_that_does_not_fit_the_memory_is_halved"),
        "Decoder._fitting": (2, "tests/test_devices.py::test_decoding_plans_with_the_memory_of_the_gpu"),
        "load_decoder": (3, "tests/test_devices.py::test_a_process_that_decodes_has_its_gpu_and_bf16"),
    },
    "src/s2h/scoring/endpoints.py": {
        "module": (2, "tests/scoring/test_endpoints.py::test_what_may_pass_is_asked_again"),
    },
    "src/s2h/scoring/vllm.py": {
        "_Server.wait_for": (4, "tests/scoring/test_vllm.py::test_a_server_is_waited_for_and_leaves_no_process_behind"),
        "_environment": (1, "tests/scoring/test_vllm.py::test_a_server_is_waited_for_and_leaves_no_process_behind"),
        "find_vllm": (
            4,
            "tests/scoring/test_vllm.py::test_the_program_is_that_of_the_variable_then_ours_then_that_of_the_path",
        ),
        "module": (1, "tests/scoring/test_vllm.py::test_a_server_is_waited_for_and_leaves_no_process_behind"),
        "plan_layout": (2, "tests/scoring/test_vllm.py::test_gpus_hold_as_many_copies_as_fit"),
        "serve_command": (1, "tests/scoring/test_vllm.py::test_pixel_limits_reach_the_server_of_a_model_from_outside"),
    },
    "src/s2h/training/alignment.py": {
        "_measure": (3, "tests/test_devices.py::test_alignment_is_measured_on_the_gpu"),
        "probe": (2, "tests/training/test_alignment.py::test_in_bf16_loss_and_gradient_are_about_the_same"),
    },
    "src/s2h/training/data.py": {
        "PhaseData.batches": (2, "benchmarks.gpu: training"),
        "prefetch": (2, "benchmarks.gpu: training"),
    },
    "src/s2h/training/deepspeed_config.py": {
        "read_config": (4, "benchmarks.gpu: training"),
    },
    "src/s2h/training/deepspeed_engine.py": {
        "TrainingEngine._recomputes": (1, "benchmarks.gpu: training"),
        "_optimizer": (1, "benchmarks.gpu: training"),
    },
    "src/s2h/training/flops.py": {
        "FlopModel.of": (1, "tests/training/test_flops.py::test_it_counts_what_is_computed"),
    },
    "src/s2h/training/launch.py": {
        "launch": (1, "tests/test_devices.py::test_a_training_starts_a_process_for_each_gpu_and_deepspeed_takes_it"),
    },
    "src/s2h/training/manifest.py": {
        "manifest": (2, "benchmarks.gpu: training"),
    },
    "src/s2h/training/memory/fitting.py": {
        "Machine.here": (1, "tests/test_devices.py::test_a_training_looks_at_the_memory_of_its_gpu"),
    },
    "src/s2h/training/memory/zero.py": {
        "_Rule.pinned": (1, "tests/training/memory/test_zero.py::test_pinned_memory_is_handed_out_in_powers_of_two"),
        "estimate_memory": (3, "tests/training/memory/test_zero.py::test_the_rules_give_what_deepspeed_allocates"),
    },
    "src/s2h/training/metrics.py": {
        "peak_memory": (2, "tests/test_devices.py::test_a_training_looks_at_the_memory_of_its_gpu"),
    },
    "src/s2h/training/model.py": {
        "dtype_of": (
            1,
            "tests/training/memory/test_fitting.py::test_activations_are_recomputed_only_where_the_memory_asks_for_it",
        ),
        "weightless_trainable": (
            1,
            "tests/training/memory/test_fitting.py::test_activations_are_recomputed_only_where_the_memory_asks_for_it",
        ),
        "with_precision": (3, "tests/training/test_precision.py::test_auto_is_bf16_where_it_is_computed_by_the_device"),
    },
    "src/s2h/training/peak_flops.py": {
        "device_peak": (1, "tests/test_devices.py::test_a_training_looks_at_the_memory_of_its_gpu"),
        "peak_flops": (2, "tests/training/test_peak_flops.py::test_cards_have_the_peaks_of_their_data_sheets"),
    },
    "src/s2h/training/processes.py": {
        "join_processes": (1, "tests/test_devices.py::test_a_process_of_a_training_has_its_gpu_and_nccl"),
    },
    "src/s2h/training/trainer.py": {
        "Trainer._batches": (2, "benchmarks.gpu: training"),
        "Trainer._dry_run": (1, "benchmarks.gpu: training"),
        "_memory_advice": (1, "tests/test_devices.py::test_a_gpu_without_memory_is_answered_with_what_to_change"),
    },
}
"""For each file and function, or class, the number of such lines, and what runs them."""


@cache
def found() -> dict[str, dict[str, int]]:
    """How many such lines there are, by file and function."""
    paths = [path for folder in _FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    paths = [path for path in paths if _ON_A_GPU not in path.parents]
    counted = {str(path.relative_to(ROOT)): dict(sorted(Counter(_holders(path)).items())) for path in paths}
    return {file: holders for file, holders in counted.items() if holders}


def _holders(path: Path) -> Iterator[str]:
    """For each such line of a module the function or class that holds it; ``module`` for none."""
    text = path.read_text()
    tree = ast.parse(text)
    spans = list(_spans(tree))
    skipped = _docstrings(tree) | _imports(tree)
    for line in sorted({line for line in _lines(text) if line not in skipped}):
        yield max((span for span in spans if span[0] <= line <= span[1]), default=(0, 0, "module"))[2]


def _lines(text: str) -> Iterator[int]:
    """Numbers of the lines with such a word in a name or a string."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in (tokenize.COMMENT, tokenize.NL):
            for line, part in enumerate(token.string.split("\n"), token.start[0]):
                if _WORDS.search(part):
                    yield line


def _spans(node: ast.AST, outer: str = "") -> Iterator[tuple[int, int, str]]:
    """First and last line of every function and class, and its name."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
            assert child.end_lineno is not None
            yield child.lineno, child.end_lineno, f"{outer}{child.name}"
            yield from _spans(child, f"{outer}{child.name}.")
        else:
            yield from _spans(child, outer)


def _docstrings(tree: ast.AST) -> set[int]:
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)]
    return {line for node in nodes for line in range(node.lineno, (node.end_lineno or 0) + 1)}


def _imports(tree: ast.AST) -> set[int]:
    """Lines of imports from this project, which name what is proved where it stands."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and str(node.module).startswith("s2h")]
    return {line for node in nodes for line in range(node.lineno, (node.end_lineno or 0) + 1)}


def listing() -> str:
    """The entries of ``RUN_BY`` as they should be."""
    text = ""
    for file, holders in found().items():
        known = {holder: proof for holder, (_, proof) in RUN_BY.get(file, {}).items()}
        lines = (f'        "{name}": ({count}, "{known.get(name, "NOT PROVED")}"),' for name, count in holders.items())
        text += "\n".join([f'    "{file}": {{', *lines, "    },\n"])
    return text


def test_every_line_that_needs_a_gpu_is_listed_with_what_runs_it() -> None:
    listed = {file: {holder: count for holder, (count, _) in holders.items()} for file, holders in RUN_BY.items()}
    assert listed == found(), f"RUN_BY should hold:\n{listing()}"


@pytest.mark.parametrize("proof", sorted({proof for holders in RUN_BY.values() for _, proof in holders.values()}))
def test_what_runs_a_line_exists(proof: str) -> None:
    section = proof.removeprefix("benchmarks.gpu: ")
    if section != proof:
        if not _ON_A_GPU.exists():
            pytest.skip("benchmarks.gpu is not there yet")
        assert (_ON_A_GPU / f"{section}.py").exists()
    else:
        name, _, test = proof.partition("::")
        assert f"def {test}(" in (ROOT / name).read_text()


def test_lines_are_found_in_code_and_not_in_what_is_said_about_it(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        '"""CUDA."""\nimport vllm\nfrom s2h.x import vllm\nclass A:\n    """nccl"""\n    def f(self):  # cuda\n'
        '        x = f"{self} cuda"\n        return x.cuda(\n            "bf16",\n        )\ny = "tf32"\n'
    )
    assert sorted(_holders(path)) == ["A.f", "A.f", "A.f", "module", "module"]


if __name__ == "__main__":
    print(listing())
