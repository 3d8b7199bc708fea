"""What the benchmark writes and how it compares: the measuring itself is no test."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.bench.plots import svg
from tests.bench.report import write
from tests.bench.results import Chapter, Plot, Table, Target, at_least, at_most, keep, kept
from tests.bench.trials import Spread, in_turns, ratios

PLOT = Plot("speed", 'Speed <&> "more"', "us", ["simple", "extended"], {"theirs": [20.0, 21.0], "ours": [0.0, 2100.0]})
CHAPTER = Chapter(
    "cpu",
    "CPU",
    "How it was done.",
    [at_most("CPU", 1.25, 2.5, "2.50"), at_least("speed", 0.9, 0.95, "0.95")],
    [Table("a|b", ["name", "us"], [["ours", "1"], ["theirs", "2"]])],
    [PLOT],
    ["workers: one core"],
)


def test_a_gap_is_told_by_how_much() -> None:
    assert at_most("x", 2, 3, "3") == Target("x", "<= 2", "3", False, "1.50 times it")
    assert at_least("x", 0.8, 0.4, "0.4") == Target("x", ">= 0.8", "0.4", False, "50% of it")
    assert at_most("x", 2, 2, "2").is_met
    assert at_least("x", 2, 2, "2").is_met


def test_ratios_are_of_the_same_round() -> None:
    assert ratios([2.0, 30.0, 9.0], [1.0, 10.0, 9.0]) == Spread(2.0, 1.0, 3.0)
    with pytest.raises(ValueError):
        ratios([1.0], [1.0, 2.0])


def test_contestants_take_turns_in_both_directions() -> None:
    assert list(in_turns("ab", 3)) == [(0, "a"), (0, "b"), (1, "b"), (1, "a"), (2, "a"), (2, "b")]
    assert list(in_turns("ab", 3, limit_s=-1.0)) == []


def test_a_chapter_is_kept_whole(tmp_path: Path) -> None:
    keep(CHAPTER, tmp_path)
    assert kept("cpu", tmp_path) == CHAPTER
    assert kept("other", tmp_path) is None


def test_a_plot_is_xml_with_a_bar_for_each_value_above_zero() -> None:
    bars = [
        node
        for node in ElementTree.fromstring(svg(PLOT)).iter("{http://www.w3.org/2000/svg}rect")
        if node.get("height") != "12"
    ]
    assert len(bars) == 3
    heights = [float(bar.get("height", "0")) for bar in bars]
    assert heights[0] < heights[1] < heights[2]  # 20, 21, 2100: the axis is logarithmic


def test_the_documents(tmp_path: Path) -> None:
    profile = Chapter("profile", "Where it goes", "By perf.", tables=[Table("perf", ["part"], [["kernel"]])])
    write([CHAPTER, profile], [["commit", "abc"]], "make bench", tmp_path)
    benchmarks = (tmp_path / "benchmarks.md").read_text()
    assert "| CPU | <= 1.25 | 2.50 | **not met**: 2.00 times it |" in benchmarks
    assert "| speed | >= 0.9 | 0.95 | met |" in benchmarks
    assert "- workers: one core" in benchmarks
    assert "| commit | abc |" in benchmarks
    assert "![Speed" in benchmarks
    assert (tmp_path / "bench" / "speed.svg").exists()
    assert "Where it goes" not in benchmarks
    assert "| kernel |" in (tmp_path / "profiles.md").read_text()
