"""Any verb of the command line as a job of the server: bounded in number and output, and ended whole."""

from __future__ import annotations

from wavepool.web.jobs.job import Job
from wavepool.web.jobs.jobs import KEPT_MAX, RUNNING_MAX, Jobs, TooManyJobs, UnknownJob, open_jobs
from wavepool.web.jobs.output import Output
from wavepool.web.jobs.refused import check_arguments

__all__ = [
    "KEPT_MAX",
    "RUNNING_MAX",
    "Job",
    "Jobs",
    "Output",
    "TooManyJobs",
    "UnknownJob",
    "check_arguments",
    "open_jobs",
]
