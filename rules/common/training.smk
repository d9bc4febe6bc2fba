# What the rules of training are given: models, their settings and where they come from.


def source(model):
    """Where a model comes from, or a part of one."""
    return CONFIG.parts.get(model) or CONFIG.models[model].source


def is_here(model):
    """Whether a model answers the same whenever it is asked: those behind an address may change."""
    return source(model).kind in ("tiny", "made", "assembled") or is_outside(model)


def is_outside(model):
    """Whether a model comes as weights: from the hub, or from a folder of the user's."""
    return source(model).kind in ("pretrained", "released_eagle")


def is_converted(model):
    """Whether these weights get other names before anything reads them."""
    return source(model).kind == "released_eagle"


def base_model_code(wildcards):
    """Digest of the code that makes the tiny model, and of the tasks whose words it knows."""
    tasks = [TASKS.module(task) for task in members(wildcards)]
    return stage_code(
        "build_base_model", "s2h.models.tiny", "s2h.supervision.formats", *tasks
    )


def base_folder(wildcards):
    """The model folder, or hub name, from which a phase starts."""
    if int(wildcards.phase) > 1:
        return f"{RESULTS}/models/{RUN}/phase-{int(wildcards.phase) - 1}".format(
            **wildcards
        )
    return first_folder(wildcards)


def first_folder(run):
    """The folder of the model from which a run (or the wildcards of one) starts."""
    kind = source(run.model).kind
    if kind == "tiny":
        return f"{RESULTS}/base_models/{run.task}/{run.model}/{run.seed}"
    return made_model(run) if kind == "made" else outside_model(run.model)


def hub_models():
    """The models of the hub that the runs need, bases and parts of models that are made here among them."""
    found = [(run.model, source(run.model)) for run in RUNS]
    names = {kind.base if kind.kind == "made" else name for name, kind in found}
    known = {part for name in names if name in CONFIG.models for part in parts_of(name)}
    return sorted(name for name in known if comes_from_hub(name))


def made_model(run):
    """What the last stage of a model left that is made here from corpora."""
    made = source(run.model)
    origin = run.task if CONFIG.origin(run.model).kind == "tiny" else ANY
    return f"{RESULTS}/base_models/{origin}/{run.model}/{made.seed}/stage-{len(made.stages)}"


def made_from(run):
    """The folder of the model from which the first stage of a made model starts."""
    made, found = source(run.model), CONFIG.origin(run.model)
    if found.kind == "tiny":
        return f"{RESULTS}/base_models/{run.task}/{made.base}/{made.seed}"
    return (
        outside_model(made.base) if made.base in CONFIG.models else local_folder(found)
    )


def outside_model(model):
    """The folder of a model from outside, as training and scoring read it."""
    if is_converted(model):
        return f"{RESULTS}/converted/{model}"
    if source(model).kind == "assembled":
        return f"{RESULTS}/base_models/{ANY}/{model}/assembled"
    return outside_weights(model)


def outside_weights(model):
    """The folder of its weights as they came: its own, or the one into which it is fetched from the hub."""
    found = source(model)
    return local_folder(found) if found.is_local else f"{RESULTS}/hub/{model}"


def local_folder(found):
    """The folder of a model that is somewhere on this machine."""
    return str(Path(found.name).expanduser())


def comes_from_hub(model):
    """Whether a model has to be fetched first."""
    return is_outside(model) and not source(model).is_local


def released_input(wildcards):
    """What is converted, where it is fetched by the workflow."""
    model = wildcards.model
    return outside_weights(model) if comes_from_hub(model) else []


def is_made(model):
    """Whether the workflow makes, fetches or converts a model; a folder of the user's is no input of a rule."""
    made = source(model).kind in ("tiny", "made", "assembled")
    return made or comes_from_hub(model) or is_converted(model)


def base_input(wildcards):
    """The same where the workflow makes it."""
    made = int(wildcards.phase) > 1 or is_made(wildcards.model)
    return base_folder(wildcards) if made else []


def processor_options(wildcards):
    """What the processor of a model from outside is told in the first phase; later phases find it saved."""
    outside = is_outside(wildcards.model) and int(wildcards.phase) == 1
    return json.dumps(source(wildcards.model).processor_options if outside else {})


def training_settings(wildcards):
    """How the phase is trained, as JSON."""
    phase = int(wildcards.phase) - 1
    return CONFIG.training(run_of(wildcards), phase).model_dump_json()


def phase_options(wildcards):
    """What stops learning in the phase, and what becomes of its optimizer, as words of the command line."""
    recipe, number = CONFIG.recipes[wildcards.recipe], int(wildcards.phase)
    phase = recipe.phases[number - 1]
    options = []
    if phase.frozen:
        options += ["--frozen", *phase.frozen]
    if phase.optimizer == "kept":
        before = f"{RESULTS}/checkpoints/{RUN}/phase-{number - 1}"
        options += ["--optimizer-from", before.format(**wildcards)]
    return options + (["--leave-optimizer"] if leaves_optimizer(wildcards) else [])


def leaves_optimizer(wildcards):
    """Whether the phase that follows goes on with the optimizer of this one."""
    following = CONFIG.recipes[wildcards.recipe].phases[int(wildcards.phase) :]
    return bool(following) and following[0].optimizer == "kept"


def phases(wildcards):
    """How many phases the recipe has."""
    return len(CONFIG.recipes[wildcards.recipe].phases)
