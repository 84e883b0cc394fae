"""`peerway demo` on this machine: every claim holds, and afterwards nothing is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
STARTING_S_MAX = 600  # no bar for a busy machine, only an end


def demo(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """The demo with its temporary folder below `folder`.

    It heeds SIGINT, also where the suite runs in the background of a shell, which has it ignored.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "federation.cli.main", "demo", *arguments],
            env=os.environ | {"TMPDIR": str(folder), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)


def alive(folder: Path) -> Iterator[int]:
    """Processes whose command line names something below `folder`."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in words:
                yield int(entry.name)


def left(folder: Path) -> tuple[list[int], list[Path]]:
    return list(alive(folder)), list(folder.iterdir())


def claims(report: dict[str, Any]) -> list[str]:
    """What did not hold."""
    return [f"{c['text']}: {c['seen']}" for step in report["steps"] for c in step["claims"] if not c["held"]]


def test_five_steps_hold_and_nothing_is_left(tmp_path: Path) -> None:
    running = demo(tmp_path, "--json")
    out, err = running.communicate(timeout=240)
    assert running.returncode == 0, err
    report = json.loads(out)
    assert claims(report) == []
    cheapest, sovereign, impossible, bought, proved = report["steps"]
    names = [[s["operator_name"] for s in step["search"]["paths"][0]["segments"]] for step in (cheapest, sovereign)]
    assert len(set(names[0])) >= 3
    assert names[0] != names[1]
    assert (names[0][0], names[0][-1]) == (names[1][0], names[1][-1]) == ("SURF", "GARR")
    assert {"Liberty", "Vodafone DE"} & set(names[0])
    assert not {"Liberty", "Vodafone DE"} & set(names[1])
    refused = {(one["operator_name"], one["rule"]) for one in sovereign["search"]["excluded"]}
    assert ("Liberty", "eu-health.subject_to") in refused
    assert ("Vodafone DE", "eu-health.controlling_parents") in refused
    assert all(rule.startswith("eu-health.") for _, rule in refused)
    assert impossible["search"]["binding"]
    assert impossible["search"]["relaxations"]
    assert "EUR 200.00 in all" in bought["asked"]
    assert "EUR 50.00 for one order" in bought["claims"][0]["seen"], "the mandate refuses what is above it"
    assert bought["order"]["state"] == "RELEASED"
    assert bought["order"]["bill"]["total"]["micro"] > 0
    verified, flipped, countries = (one["seen"].split(", ") for one in proved["claims"])
    assert {"policy", "narrowing", "amounts", "witnesses", "complete"} <= set(verified)
    assert set(flipped) < set(verified), "only what failed is named"
    assert "policy" in countries
    assert "amounts" not in countries
    assert report["measured"]
    assert report["invented"]
    assert len(report["processes"]) == 17, "fifteen operators, a broker, an anchor"
    assert left(tmp_path) == ([], [])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_ends_everybody_and_cleans_up(tmp_path: Path, number: signal.Signals) -> None:
    running = demo(tmp_path)
    until = time.monotonic() + STARTING_S_MAX
    while len(list(alive(tmp_path))) < 10:
        assert time.monotonic() < until
        assert running.poll() is None
        time.sleep(0.05)
    running.send_signal(number)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert "Traceback" not in out + err
    assert left(tmp_path) == ([], [])


@pytest.mark.long
def test_kept_it_serves_until_its_stop_script_is_run(tmp_path: Path) -> None:
    running = demo(tmp_path, "--keep", "--json")
    out, err = running.communicate(timeout=240)
    assert running.returncode == 0, err
    addresses = json.loads(out)["addresses"]
    named = ("PEERWAY_BROKER", "PEERWAY_MANDATE", "PEERWAY_AGENT_KEY")
    env = os.environ | {name: addresses[name] for name in named} | {"PYTHONPATH": str(ROOT)}

    def peerway(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "federation.cli.main", *words]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    assert [order["state"] for order in json.loads(peerway("orders", "--json").stdout)] == ["RELEASED"]
    revoked = peerway("mandate", "revoke", addresses["PEERWAY_MANDATE"], "--sign-with", addresses["BUYER_KEY"])
    assert revoked.returncode == 0, revoked.stderr
    assert peerway("orders").returncode == 4
    believed = ("--anchor", addresses["PEERWAY_ANCHORS"], "--key", f"https://buyer.example={addresses['BUYER_JWKS']}")
    assert peerway("verify", f"{addresses['EVIDENCE']}/buyer.evidence", *believed).returncode == 0
    assert peerway("verify", f"{addresses['EVIDENCE']}/flipped.evidence", *believed).returncode == 4
    subprocess.run(["sh", "-c", addresses["STOP"]], check=True, timeout=60)
    assert left(tmp_path) == ([], [])


@pytest.mark.long
def test_all_footprints_are_federated(tmp_path: Path) -> None:
    running = demo(tmp_path, "--all", "--json")
    out, err = running.communicate(timeout=600)
    assert running.returncode == 0, err
    report = json.loads(out)
    assert claims(report) == []
    federation = report["federation"]
    assert len(federation["operators"]) == 98
    assert federation["interfaces"] > 10_000
    assert federation["interconnects"] > 3_000
    assert federation["discovery_ms"] > 0
    assert sum(map(len, federation["components"])) == 98
    assert left(tmp_path) == ([], [])
