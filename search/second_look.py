"""A further look at the test split, written into the card and counted in the store."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..evaluators.artifact_report import file_quality
from ..evaluators.tasks import load_task
from ..spaces.foreign_file import inside, read_bytes
