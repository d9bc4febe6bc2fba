# From one config to results/tables/summary.csv:
#
#   puzzles -> mixtures -> base models -> training (phase by phase) -> scores -> tables
#
# The config is config/recipes.yaml and config/config.yaml, with --configfile config/other.yaml laid over them.
# How many jobs run at once, and on what, is a matter of the profile: profiles/default or profiles/slurm.


configfile: f"{workflow.basedir}/config/recipes.yaml"
configfile: f"{workflow.basedir}/config/config.yaml"


include: "rules/common.smk"
include: "rules/puzzles.smk"
include: "rules/mixtures.smk"
include: "rules/corpora.smk"
include: "rules/models.smk"
include: "rules/training.smk"
include: "rules/scoring.smk"
include: "rules/alignment.smk"
include: "rules/report.smk"


rule all:
    # All that can be shown of the study; then: snakemake --report report.html
    default_target: True
    input:
        REPORT.tables("csv"),
        REPORT.figures("svg"),
        REPORT.of_runs(PATHS.failures),
        PATHS.overview,
        WEIGHTS.removals(),


run_members_side_by_side(workflow, sys.argv)


onstart:
    refuse_missing_gpus(workflow)
    refuse_removed_weights(workflow.dag.needrun_jobs())
    refuse_what_slurm_refuses(workflow)


onsuccess:
    print(*success_lines(workflow, PLAN), sep="\n", file=sys.stderr)


onerror:
    say_why_slurm_killed(workflow)
    print(*failure_lines(workflow, PLAN), sep="\n", file=sys.stderr)
