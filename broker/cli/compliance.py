"""`sagsbro compliance`: what a vendor has shown in its test period, requirement by requirement."""

import html
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from broker.cli.running import AS_JSON, DATA
from broker.cli.running import show as print_json
from broker.cli.sending import AUTHORITY, Sending
from broker.domain import moments
from broker.domain.compliance import REQUIREMENTS, judge, passed
from broker.intake.observing import observe
from broker.store import compliance as store
from broker.store.compliance import Connection
from broker.stream.clients import aiokafka_options
from broker.stream.tail import AWAY

NOT_SHOWN: Final = 3
_WORDS: Final = {
    "met": "met",
    "unmet": "NOT MET",
    "not_sent": "NOT SENT",
    "not_expressible": "no words for it",
}


@click.command()
@click.argument("system")
@AUTHORITY
@click.option("--start", is_flag=True, help="Begin a run, and list what the vendor has to send.")
@click.option("--since", type=click.DateTime(), help="Judge what came since then (UTC). [default: the run's start]")
@click.option("--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write the report as a page.")
@DATA
@AS_JSON
@click.pass_context
def compliance(
    context: click.Context,
    system: str,
    authority: str,
    since: datetime | None,
    page: Path | None,
    data: Path | None,
    *,
    start: bool,
    as_json: bool,
) -> None:
    """Judge what SYSTEM has sent for an authority since --start. Ends with 3 while something lacks."""
    sending = Sending(system, authority, data)
    cannot = {} if sending.speaking is None else sending.speaking.cannot
    if start:
        at = sending.run(lambda connection: store.begin(connection, authority, system))
        _show_list(at, cannot, as_json=as_json)
        return

    async def work(connection: Connection) -> dict[str, Any]:
        began = await store.begun(connection, authority, system) if since is None else since.replace(tzinfo=UTC)
        if began is None:
            raise click.ClickException("no run was begun: begin one with --start, or say --since")
        try:
            observed = await observe(connection, aiokafka_options(sending.settings), (authority, system), began)
        except AWAY as error:
            raise click.ClickException(f"Kafka does not answer ({type(error).__name__})") from None
        results = judge(observed, cannot)
        said = {
            "authority": authority,
            "system": system,
            "since": moments.text(began),
            "passed": passed(results),
            "observed": dict(Counter(one.status for one in observed)),
            "requirements": [asdict(one) for one in results],
        }
        await store.put(connection, authority, system, passed=passed(results), report=said)
        return said

    report = sending.run(work)
    if page is not None:
        page.write_text(as_page(report), encoding="utf-8")
    if as_json:
        print_json(report)
    else:
        _show(report)
    if not report["passed"]:
        context.exit(NOT_SHOWN)


def _show_list(at: datetime, cannot: Mapping[str, str], *, as_json: bool) -> None:
    listed = [
        {"number": one.number, "title": one.title, "sends": one.sends, "expected": one.expected}
        | ({"not_expressible": cannot[one.number]} if one.number in cannot else {})
        for one in REQUIREMENTS
    ]
    if as_json:
        print_json({"begun": moments.text(at), "requirements": listed})
        return
    click.echo(f"The run began {at:%Y-%m-%d %H:%M:%S %Z}. With constructed citizens only, send:")
    for one in listed:
        click.echo(f"{one['number']:<4} {one['title']}\n     {one['sends']}\n     Expected: {one['expected']}")
        if "not_expressible" in one:
            click.echo(f"     This system: {one['not_expressible']}")


def _show(report: dict[str, Any]) -> None:
    for one in report["requirements"]:
        click.echo(f"{one['number']:<4} {_WORDS[one['verdict']]:<16} {one['title']}: {one['came']}")
        if one["mend"]:
            click.echo(f"     expected: {one['expected']}\n     to mend:  {one['mend']}")
    came = ", ".join(f"{number} {status}" for status, number in report["observed"].items()) or "nothing"
    click.echo(f"{came} since {report['since']}: {'passed' if report['passed'] else 'not passed'}")


def as_page(report: Mapping[str, Any]) -> str:
    """One page by itself: what was expected, what came, and how to mend it. Pure."""
    rows = "".join(
        "<tr class={verdict}><td>{number}<td>{word}<td>{title}<td>{sends}"
        "<td>{expected}<td>{came}<td>{mend}</tr>".format(
            word=_WORDS[one["verdict"]],
            **{
                name: html.escape(str(one[name] or ""))
                for name in ("verdict", "number", "title", "sends", "expected", "came", "mend")
            },
        )
        for one in report["requirements"]
    )
    head = "<tr><th>No.<th>Verdict<th>Requirement<th>Sent<th>Expected<th>Came<th>To mend</tr>"
    title = html.escape(f"{report['system']} of {report['authority']}")
    verdict = "passed" if report["passed"] else "not passed"
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Compliance run: {title}</title>"
        f"<style>{_STYLE}</style>"
        f"<h1>Compliance run: {title}</h1><p>Since {html.escape(report['since'])}: <strong>{verdict}</strong></p>"
        f"<table>{head}{rows}</table></html>\n"
    )


_STYLE: Final = (
    "body{font:16px system-ui;margin:2rem}table{border-collapse:collapse}th,td{border:1px solid #bbb;padding:.4rem;"
    "text-align:left;vertical-align:top}.met td:nth-child(2){background:#d8f0d8}.unmet td:nth-child(2),"
    ".not_sent td:nth-child(2){background:#f6d6d6}.not_expressible td:nth-child(2){background:#eee}"
)


command = compliance
