"""``cityvitals topics``: the topics that workers need on Kafka, shown, made and verified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from typer.core import TyperGroup

from agents.commands.exits import BAD, FINDING, Fault, complain, guarded
from agents.commands.kafka_options import cluster_faults, plan_of, settings_of
from agents.commands.options import Config, Json
from streams.timeline import DAY_MS, HOUR_MS

if TYPE_CHECKING:
    from pathlib import Path

    from agents.plan import Plan
    from agents.topic_checks import Finding
    from agents.topology import TopicSpec
    from streams.kafka.topics import FoundTopic, TopicAdmin

MARKS = {"ok": "✓", "warning": "!", "wrong": "✗"}
STYLES = {"ok": "green", "warning": "yellow", "wrong": "bold red"}

_WIDTH = 200


class _ShowFirst(TyperGroup):
    """A group whose first command need not be named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = args and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named else ["show", *args])


_SAMPLE = 200

app = typer.Typer(
    cls=_ShowFirst, help="Topics on Kafka: show them (if nothing else is said), make, verify them."
)


@app.command("show")
@guarded
def show(config: Config = None, as_json: Json = False) -> None:
    """Show every topic of the workers: as it should be, and as Kafka has it.

    **Examples**

    - `cityvitals topics --config kafka.yaml`
    """
    from agents.topology import topics_of

    plan, admin = _opened(config)
    found, findings = _looked_at(plan, admin, config)
    specs = topics_of(plan)
    if as_json:
        topics = [_as_json(spec, found.get(spec.name), findings) for spec in specs]
        said = {"broker": plan.configuration.kafka.broker, "topics": topics}
        print(orjson.dumps(said).decode())
        return
    _show_table(specs, found, findings)
    if findings:
        complain(f"{len(findings)} findings: `{_command('verify', config)}` explains them")


@app.command("create")
@guarded
def create(
    config: Config = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Also alter settings of topics that are there.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make the topics that are missing, and add partitions where `grown:` says so.

    Nothing is ever deleted or made smaller. Ends with exit code 1 where something stays wrong.

    **Examples**

    - `cityvitals topics create --config kafka.yaml`
    """
    from agents.topology import growing, missing

    plan, admin = _opened(config)
    with cluster_faults():
        found = _found(plan, admin)
        made, grown = missing(plan, found), growing(plan, found)
        admin.create(made)
        admin.grow(grown)
        _, findings = _looked_at(plan, admin, config)
        altered: dict[str, dict[str, str]] = {}
        if fix:
            for finding in findings:
                if finding.settings:
                    altered.setdefault(finding.topic, {}).update(finding.settings)
            findings = [finding for finding in findings if not finding.settings]
            admin.alter(altered)
    names = [spec.name for spec in made]
    if as_json:
        said = {"created": names, "grown": grown, "altered": altered}
        print(orjson.dumps(said | {"findings": list(map(asdict, findings))}).decode())
    else:
        _tell_changes(names, grown, altered)
        if findings:
            complain(told(findings))
    _end(findings)


@app.command("verify")
@guarded
def verify(
    config: Config = None,
    sample: Annotated[
        int,
        typer.Option(
            "--sample", min=0, help="Newest records of each input topic whose keys are looked at."
        ),
    ] = _SAMPLE,
    as_json: Json = False,
) -> None:
    """Verify the topics, and the keys of a sample of events: exit code 1 with findings.

    A device must always be in one partition: its events carry its name as their key, and lie where
    Kafka's own clients (murmur2) put that key.

    **Examples**

    - `cityvitals topics verify --config kafka.yaml`
    """
    from agents.commands.sampling import sampled

    plan, admin = _opened(config)
    found, findings = _looked_at(plan, admin, config)
    settings = settings_of(plan.configuration.kafka)
    with cluster_faults():
        looked_at, misplaced = sampled(plan, settings, found, sample)
    findings += misplaced
    if as_json:
        said: dict[str, Any] = {"ok": not findings, "sampled": looked_at}
        print(orjson.dumps(said | {"findings": list(map(asdict, findings))}).decode())
    elif findings:
        print(told(findings))
    else:
        keys = sum(looked_at.values())
        print(f"✓ {len(found)} topics are as they should be; keys of {keys:,} events agree")
    if findings:
        raise typer.Exit(FINDING)


def require_topics(plan: Plan, config: Path | None = None) -> None:
    """Refuse to go on where a topic is missing or wrong, or most keys in it; tell of the rest.

    Raises
    ------
    Fault
        With each finding and what mends it; or the Kafka is away, or refuses.
    """
    from agents.commands.sampling import sampled
    from streams.kafka.topics import TopicAdmin

    settings = settings_of(plan.configuration.kafka)
    with cluster_faults():
        admin = TopicAdmin(settings)
    found, findings = _looked_at(plan, admin, config)
    with cluster_faults():
        findings += sampled(plan, settings, found, _SAMPLE)[1]
    wrong = [finding for finding in findings if finding.severity == "wrong"]
    if wrong:
        raise Fault(BAD, told(wrong))
    if findings:
        complain(told(findings))


def _opened(config: Path | None) -> tuple[Plan, TopicAdmin]:
    from streams.kafka.topics import TopicAdmin

    plan = plan_of(config)
    return plan, TopicAdmin(settings_of(plan.configuration.kafka))


def _found(plan: Plan, admin: TopicAdmin) -> dict[str, FoundTopic]:
    from agents.topology import topics_of

    return admin.describe(spec.name for spec in topics_of(plan))


def _looked_at(
    plan: Plan, admin: TopicAdmin, config: Path | None
) -> tuple[dict[str, FoundTopic], list[Finding]]:
    from agents import topic_checks

    with cluster_faults():
        found = _found(plan, admin)
    return found, topic_checks.verify(plan, found, None if config is None else str(config))


def _command(name: str, config: Path | None) -> str:
    return f"cityvitals topics {name}" + (f" --config {config}" if config else "")


def told(findings: list[Finding]) -> str:
    """Findings for people; what mends several in a row is said once."""
    lines = []
    for mend, alike in groupby(findings, key=lambda finding: finding.mend):
        lines += [f"{MARKS[f.severity]} {f.topic} {f.what}" for f in alike]
        lines.append(f"    {mend}")
    return "\n".join(lines)


def _end(findings: list[Finding]) -> None:
    if any(finding.severity == "wrong" for finding in findings):
        raise typer.Exit(FINDING)


def _tell_changes(
    created: list[str], grown: Mapping[str, int], altered: Mapping[str, Mapping[str, str]]
) -> None:
    for name in created:
        print(f"created {name}")
    for name, partitions in grown.items():
        print(f"{name} has {partitions} partitions now")
    for name, settings in altered.items():
        for setting, value in settings.items():
            print(f"{name} {setting} is {value} now")
    if not created and not grown and not altered:
        print("nothing to make: every topic is there")


def _state(name: str, findings: list[Finding]) -> str:
    severities = {finding.severity for finding in findings if finding.topic == name}
    return "wrong" if "wrong" in severities else "warning" if severities else "ok"


def _as_json(spec: TopicSpec, here: FoundTopic | None, findings: list[Finding]) -> dict[str, Any]:
    wanted = {
        "partitions": spec.partitions,
        "replication": spec.replication,
        "settings": dict(spec.settings),
    }
    is_there = here and {
        "partitions": here.partitions,
        "replication": here.replication,
        "settings": {name: here.settings.get(name) for name in spec.settings},
    }
    said = [asdict(finding) for finding in findings if finding.topic == spec.name]
    return {
        "name": spec.name,
        "role": spec.role,
        "purpose": spec.purpose._asdict(),
        "wanted": wanted,
        "found": is_there,
        "state": _state(spec.name, findings),
        "findings": said,
    }


def _show_table(
    specs: list[TopicSpec], found: Mapping[str, FoundTopic], findings: list[Finding]
) -> None:
    import sys

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1), pad_edge=False)
    table.add_column("")
    table.add_column("主题 topic", no_wrap=True)
    table.add_column("用途 purpose")
    table.add_column("分区 partitions", justify="right")
    table.add_column("清理 cleanup")
    table.add_column("保留 retention", justify="right")
    table.add_column("副本 copies", justify="right")
    for spec in specs:
        state = _state(spec.name, findings)
        table.add_row(
            Text(MARKS[state], STYLES[state]),
            spec.name,
            " ".join(spec.purpose),
            *_cells(spec, found.get(spec.name)),
        )
    Console(width=None if sys.stdout.isatty() else _WIDTH).print(table)


def _cells(spec: TopicSpec, here: FoundTopic | None) -> tuple[str, ...]:
    """What is there; where it is another than it should be, also that."""
    from agents.topology import POLICY, RETENTION

    if here is None:
        return str(spec.partitions), "缺 missing", "", ""
    several = spec.role in ("log", "latest") or here.partitions == spec.partitions
    partitions = str(here.partitions) if several else f"{here.partitions} ≠ {spec.partitions}"
    policy, wanted = here.settings.get(POLICY, ""), spec.settings[POLICY]
    compacted = policy == "compact"
    return (
        partitions,
        policy if policy == wanted else f"{policy} ≠ {wanted}",
        "" if compacted else _length(here.number(RETENTION, -1)),
        str(here.replication),
    )


def _length(ms: int) -> str:
    if ms < 0:
        return "∞"
    return f"{ms / DAY_MS:g} d" if ms >= DAY_MS else f"{ms / HOUR_MS:.3g} h"
