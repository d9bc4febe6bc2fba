# What becomes of the weights of trained models: how much of the disk they take, and what is kept of them.
from s2h.errors import ModelError
from s2h.models.disk import disk_report, stored
from s2h.models.weights import check_weights


def stored_phases():
    """What the phases of all runs take of the disk."""
    return [
        stored(
            folder,
            run.model,
            CONFIG.models[run.model].needs,
            CONFIG.training(run, number),
            last=number + 1 == len(phase_numbers(run)),
            keep=CONFIG.keep_weights,
        )
        for run in TRAINED_RUNS
        for number, folder in enumerate(models_of(run))
    ]


def stored_stages():
    """The same of the stages of models that are made here; they all stay."""
    made = {
        run.model: made_model(run) for run in RUNS if source(run.model).kind == "made"
    }
    return [
        stored(
            f"{Path(last).parent}/stage-{number + 1}",
            model,
            CONFIG.models[model].needs,
            CONFIG.stage_training(model, number),
        )
        for model, last in made.items()
        for number in range(len(source(model).stages))
    ]


def run_models(wildcards):
    """What the phases of a run left, in order."""
    return models_of(run_of(wildcards))


def removals():
    """For each run a file that says what was removed of its models; none where everything is kept."""
    if CONFIG.keep_weights == "all":
        return []
    return [f"{RESULTS}/removed/{run_name(run)}.json" for run in TRAINED_RUNS]


def refuse_removed_weights(jobs):
    """End the workflow before it starts where a job needs weights that were removed and are not made again."""
    made = {str(output) for job in jobs for output in job.output}
    for job in jobs:
        if job.rule.name in ("train_phase", "measure_alignment", "decode_replies"):
            for folder in {*map(str, job.input)} - made:
                try:
                    check_weights(folder)
                except ModelError as error:
                    sys.exit(f"s2h: {error}")


if workflow.is_main_process:  # and not in the processes of its jobs
    for line in disk_report([*stored_stages(), *stored_phases()], RESULTS):
        print(line, file=sys.stderr)
