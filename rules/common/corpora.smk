# What the rules of corpora, and of the base models that are made from them, are given.


def parts_of(model):
    """The models that a model is put together from; itself where it is whole."""
    found = source(model)
    return list(found.parts.values()) if found.kind == "assembled" else [model]


def part_folder(part):
    """The folder of a part of the model that a job assembles."""
    return lambda wildcards: outside_model(source(wildcards.model).parts[part])


def part_input(part):
    """The same where it is fetched by the workflow; a folder of the user's is no input of a rule."""

    def needed(wildcards):
        name = source(wildcards.model).parts[part]
        return outside_model(name) if comes_from_hub(name) else []

    return needed


def corpus_settings(wildcards):
    """Settings of a corpus."""
    return CONFIG.corpora[wildcards.corpus]


def corpus_files(wildcards):
    """The files of its images; a folder of the user's is no input of a rule."""
    paths = corpus_settings(wildcards).image_paths()
    return [path for path in paths if not Path(path).is_dir()]


def corpus_shards(corpus):
    """All of its shards, in order."""
    shards = CONFIG.corpora[corpus].shards
    return [
        f"{RESULTS}/corpora/{corpus}/shard-{shard:05d}.parquet"
        for shard in range(shards)
    ]


def stage_of(wildcards):
    """The stage of a model that is made here; stages count from 1."""
    return source(wildcards.model).stages[int(wildcards.stage) - 1]


def stage_shards(wildcards):
    """The shards of the corpus that a stage trains on."""
    return corpus_shards(stage_of(wildcards).corpus)


def stage_report(wildcards):
    """The report that a stage waits for."""
    return f"{RESULTS}/corpora/{stage_of(wildcards).corpus}/report.json"


def stage_start(wildcards):
    """The model folder from which a stage starts: what the stage before left, or the base."""
    if int(wildcards.stage) > 1:
        return (
            f"{RESULTS}/base_models/{STAGED}/stage-{int(wildcards.stage) - 1}".format(
                **wildcards
            )
        )
    return made_from(SimpleNamespace(task=wildcards.origin, model=wildcards.model))


def stage_input(wildcards):
    """The same where it is made or fetched by the workflow; a folder of the user's is no input of a rule."""
    start = stage_start(wildcards)
    return start if start.startswith(f"{RESULTS}/") else []


def stage_processor(wildcards):
    """What the processor of a model from outside is told in the first stage; later ones find it saved."""
    found = CONFIG.origin(wildcards.model)
    first = found.kind == "pretrained" and int(wildcards.stage) == 1
    return json.dumps(found.processor_options if first else {})


def stage_settings(wildcards):
    """How a stage is trained, as JSON."""
    return CONFIG.stage_training(
        wildcards.model, int(wildcards.stage) - 1
    ).model_dump_json()


def stage_options(wildcards):
    """What stops learning in a stage, as words of the command line."""
    frozen = stage_of(wildcards).frozen
    return ["--frozen", *frozen] if frozen else []


def stages(wildcards):
    """How many stages the model has."""
    return len(source(wildcards.model).stages)
