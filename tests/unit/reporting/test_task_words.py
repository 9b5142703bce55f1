from leaq.reporting.task_words import about_tasks
from tests.unit.reporting.test_task_tables import several


def test_it_is_said_which_task_gives_most_away_and_how_surely():
    said = about_tasks(several())
    assert "toxic gives away most under full precision (0.40" in said
    assert "logS least (0.10" in said
    assert "overlap" not in said
