"""One line an event: what it always says, and what it never says."""

import json
import re
import subprocess
import sys
from typing import get_args

import pytest

from broker.logs import LEVELS, Event, tell

CPR = "0101501234"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_a_line_has_its_time_level_process_and_event(capsys: pytest.CaptureFixture[str]) -> None:
    tell("stalled", partition=3)

    line = json.loads(capsys.readouterr().err)
    assert list(line) == ["at", "level", "process", "pid", "event", "partition"]
    assert TIME.fullmatch(line["at"])
    assert (line["level"], line["event"], line["partition"]) == ("error", "stalled", 3)


def test_text_that_reads_as_a_number_is_masked_and_a_whole_number_stays_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tell("crashed", detail=f"row ({CPR})", topics=[f"t {CPR[:6]}-{CPR[6:]}"], position=1_501_501_234)

    line = json.loads(capsys.readouterr().err)
    assert (line["detail"], line["topics"], line["position"]) == ("row (<cpr>)", ["t <cpr>"], 1_501_501_234)


def test_every_level_is_of_a_known_event() -> None:
    assert set(LEVELS) <= set(get_args(Event))


@pytest.mark.parametrize(
    ("fails", "event"),
    [
        ("raise ValueError(number)", "crashed"),
        ("import threading; t = threading.Thread(target=lambda: [][int(number)]); t.start(); t.join()", "crashed"),
        ("import warnings; warnings.warn(number)", "library"),
        ("import logging; logging.getLogger('x').error('%s is wrong', number)", "library"),
        ("import logging; logging.getLogger('x').error(number + ' is wrong')", "library"),
    ],
)
def test_whatever_goes_wrong_is_one_line_without_the_text_that_came(fails: str, event: str) -> None:
    program = f"from broker.logs import configure; number = '{CPR}'; configure('test'); {fails}"

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    (line,) = ended.stderr.splitlines()
    assert json.loads(line)["event"] == event
    assert TIME.fullmatch(json.loads(line)["at"])
    assert CPR not in line


@pytest.mark.parametrize(
    ("logger", "said", "shown"),
    [
        ("aiokafka.consumer.group_coordinator", "'Heartbeat failed for group %s', 'g'", "Heartbeat failed for group g"),
        ("aiokafka", "'group %s of %s', 'g', number", "group g of <cpr>"),
        # Such an error may be a listener's of ours: its text may quote a row.
        ("aiokafka.x", "'failed: %s', ValueError('row of Anna')", "failed: ValueError"),
        ("aiokafka", "'two: %s'", "two: %s"),
        ("aiokafka", "'two: %s', 1, 2", "two: %s"),
        ("faust", "'failed: %s', 'row of Anna'", "failed: %s"),
    ],
)
def test_what_the_kafka_client_says_is_whole_and_nobody_elses_is(logger: str, said: str, shown: str) -> None:
    program = (
        f"import logging; from broker.logs import configure; number = '{CPR}'; configure('test');"
        f"logging.getLogger('{logger}').warning({said})"
    )

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert json.loads(ended.stderr)["message"] == shown
