# The plan: what each job reads, writes and asks for is computed by s2h.plan; rules say what is made from what.
import atexit
import sys
from pathlib import Path

from s2h.paths import BASE_MODEL_PHASE, EVAL_SET, MIXTURE, PHASE, RUN, SHARD
from s2h.plan.endings import failure_lines, success_lines
from s2h.plan.group_jobs import run_members_side_by_side
from s2h.plan.other_study import refuse_another_study
from s2h.plan.plan import Plan
from s2h.plan.resources import Requested, growing
from s2h.plan.slurm_checks import refuse_what_slurm_refuses, say_why_slurm_killed
from s2h.plan.start_checks import refuse_missing_gpus, refuse_removed_weights
from s2h.plan.study_plan import print_plan

PLAN = Plan.open(
    config,
    Path(workflow.basedir),
    files=workflow.overwrite_configfiles,
    is_main=workflow.is_main_process,
)
CONFIG, PATHS = PLAN.config, PLAN.paths
PUZZLES, MIXTURES, CORPORA = PLAN.puzzles, PLAN.mixtures, PLAN.corpora
TRAINING, SCORING, ALIGNMENT = PLAN.training, PLAN.scoring, PLAN.alignment
REPORT, WEIGHTS = PLAN.report, PLAN.weights


wildcard_constraints:
    **PLAN.wildcard_constraints(),


if workflow.is_main_process:  # and not in the processes of its jobs
    refuse_another_study(PUZZLES)
    for line in WEIGHTS.disk_report():
        print(line, file=sys.stderr)
    # For dry runs alone, of whose end Snakemake tells nobody.
    atexit.register(print_plan, workflow, PLAN)
