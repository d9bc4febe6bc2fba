# From one config to results/tables/summary.csv:
#
#   puzzles -> mixtures -> base models -> training (phase by phase) -> scores -> tables
#
# The config is config/recipes.yaml and config/config.yaml, with --configfile config/other.yaml laid over them.
# How many jobs run at once, and on what, is a matter of the profile: profiles/default or profiles/slurm.


configfile: "config/recipes.yaml"
configfile: "config/config.yaml"


include: "rules/common/config.smk"
include: "rules/common/runs.smk"
include: "rules/common/puzzles.smk"
include: "rules/common/mixtures.smk"
include: "rules/common/training.smk"
include: "rules/common/corpora.smk"
include: "rules/common/scoring.smk"
include: "rules/common/alignment.smk"
include: "rules/common/report.smk"
include: "rules/common/resources.smk"
include: "rules/common/weights.smk"
include: "rules/puzzles.smk"
include: "rules/mixtures.smk"
include: "rules/corpora.smk"
include: "rules/training.smk"
include: "rules/scoring.smk"
include: "rules/alignment.smk"
include: "rules/report.smk"
include: "rules/figures.smk"
include: "rules/story.smk"
include: "rules/so_far.smk"
include: "rules/weights.smk"


rule all:
    # All that can be shown of the study; then: snakemake --report report.html
    default_target: True
    input:
        [f"{RESULTS}/tables/{table}.csv" for table in TABLE_NAMES],
        [f"{RESULTS}/figures/{figure}.svg" for figure in FIGURES],
        [f"{RESULTS}/failures/{name}.html" for name in RUN_NAMES],
        f"{RESULTS}/report/story.html",
        [marker(name) for name in RUN_NAMES],
        removals(),


onstart:
    refuse_missing_gpus(workflow)
    refuse_removed_weights(list(workflow.dag.needrun_jobs()))
    forget_shown(workflow.dag.needrun_jobs())
