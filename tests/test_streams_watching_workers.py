"""A worker's figures and log: what the dashboard asks for exists, and nobody's number is in them (F-27)."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

from streams.logs import JsonLine
from streams.metrics import Metrics
from streams.place_file import PlaceFile

ROOT = Path(__file__).resolve().parent.parent


def test_every_figure_of_the_dashboard_is_measured() -> None:
    asked = set(re.findall(r"fentan_\w+", (ROOT / "docs" / "grafana.json").read_text(encoding="utf-8")))
    given = set(re.findall(r"^# TYPE (fentan_\w+)", Metrics().text().decode(), re.MULTILINE))
    series = {name + end for name in given for end in ("", "_bucket", "_sum", "_count")}
    assert asked
    assert asked <= series, asked - series


def test_the_log_masks_phone_numbers_wherever_they_stand() -> None:
    """F-27: in the sentence, in what goes with it, and in an error."""
    record = logging.makeLogRecord(
        {"msg": "from %s", "args": ("13812345678",), "levelname": "INFO", "name": "fentan"}
    )
    record.detail = {"caller": "+86 138 1234 5678", "offset": 13812345678}
    try:
        raise ValueError("053188886666")
    except ValueError as error:
        record.exc_info = (ValueError, error, None)
    line = json.loads(JsonLine(traces=True).format(record))
    assert line["message"] == "from 138****5678"
    assert line["detail"]["offset"] == 13812345678
    text = json.dumps({name: value for name, value in line.items() if name != "detail"})
    assert not re.search(r"1381234|3188886", text + line["detail"]["caller"])


def test_places_survive_and_a_half_written_file_never_shows(tmp_path: Path) -> None:
    """F-20: how far was published is there after a crash, whole."""
    path = tmp_path / "places.json"
    places = PlaceFile(path)
    assert places.offset("next_seq") is None
    places.put({"next_seq": 7})
    (tmp_path / ".places.json.1.tmp").write_text("{")
    assert PlaceFile(path).offset("next_seq") == 7
    places.put({"other": 1})
    assert PlaceFile(path).offsets("") == {"next_seq": 7, "other": 1}
