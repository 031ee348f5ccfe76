"""`atoll schema`: the JSON Schema of study files, for editors."""

from ..terminal.tables import print_json


def schema() -> None:
    """Print the JSON Schema of study files: with it an editor completes them and marks mistakes."""
    from ..study.study_schema import study_schema

    print_json(study_schema())
