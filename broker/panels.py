"""What operators look at: the one table behind Grafana's dashboards (`ops.dashboards`) and the page at `/ops`. Pure.

Every expression stands in Prometheus' own words, so that promtool can check it: ranges are fixed, and no variable of
Grafana is in any.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["timeseries", "stat", "table", "matrix", "bargauge"]
Own = Literal["freshness", "agreements", "outbox", "codes", "vendors", "crossed"]


@dataclass(frozen=True, slots=True)
class Panel:
    """`shows`: what a line is called -> expression. `unit`: Grafana's word. `limits`: yellow and red from here on.

    own: what the page draws in its place, out of the database: so it is there without Prometheus too.
    """

    title: str
    kind: Kind
    unit: str
    shows: Mapping[str, str]
    says: str
    width: int = 12
    height: int = 8
    limits: tuple[float, float] | None = None
    own: Own | None = None


def _quantile(share: float, metric: str, by: str = "le") -> str:
    return f"histogram_quantile({share}, sum by ({by}) (rate({metric}_bucket[5m])))"


BOARDS: Final[Mapping[str, tuple[Panel, ...]]] = {
    "Flow": (
        Panel(
            "Visible too late, of the last hour",
            "stat",
            "percentunit",
            {"late": "sagsbro:event_to_visible_late:ratio_rate1h"},
            "The part of arrivals that took longer than 5 s; 1 % is promised.",
            6,
            4,
            (0.01, 0.06),
        ),
        Panel(
            "Not projected yet",
            "stat",
            "short",
            {"events": "sagsbro:projection_lag_events:sum"},
            "Events in Kafka that no worker has committed.",
            6,
            4,
        ),
        Panel(
            "Not published yet",
            "stat",
            "short",
            {"entries": "sagsbro:outbox_depth:max"},
            "Entries whose publication may be out of date.",
            6,
            4,
            own="outbox",
        ),
        Panel(
            "Processes that answer",
            "stat",
            "short",
            {"{{process}}": 'sum by (process) (up{job="sagsbro"})'},
            "By kind; what is missing has an alert.",
            6,
            4,
        ),
        Panel(
            "Refused or left out at intake",
            "timeseries",
            "cps",
            {"{{outcome}}": 'sum by (outcome) (rate(sagsbro_events_total{process="api"}[5m]))'},
            "First stage: what the intake judges and does not send on.",
        ),
        Panel(
            "Projected",
            "timeseries",
            "cps",
            {"{{outcome}}": 'sum by (outcome) (rate(sagsbro_events_total{process="worker"}[5m]))'},
            "Second stage: what became of the events that workers read.",
        ),
        Panel(
            "From received to visible",
            "timeseries",
            "s",
            {
                "half": _quantile(0.5, "sagsbro_event_to_visible_seconds"),
                "95 in 100": _quantile(0.95, "sagsbro_event_to_visible_seconds"),
                "99 in 100": _quantile(0.99, "sagsbro_event_to_visible_seconds"),
            },
            "From Kafka's clock to the commit.",
        ),
        Panel(
            "99 in 100, by stage",
            "timeseries",
            "s",
            {
                "taken in": _quantile(0.99, "sagsbro_intake_seconds"),
                "visible": _quantile(0.99, "sagsbro_event_to_visible_seconds"),
                "in topics": _quantile(0.99, "sagsbro_entry_to_topic_seconds"),
                "purged": _quantile(0.99, "sagsbro_consent_purge_seconds"),
            },
            "A request to its receipt, received to commit, commit to the overview topics, a withdrawal to there.",
        ),
        Panel(
            "Part that was late, by window",
            "timeseries",
            "percentunit",
            {
                "5 minutes": "sagsbro:event_to_visible_late:ratio_rate5m",
                "1 hour": "sagsbro:event_to_visible_late:ratio_rate1h",
                "6 hours": "sagsbro:event_to_visible_late:ratio_rate6h",
                "3 days": "sagsbro:event_to_visible_late:ratio_rate3d",
            },
            "0.144 in the hour and 0.06 in six hours wake somebody.",
        ),
        Panel(
            "Lag by partition",
            "timeseries",
            "short",
            {"{{topic}}/{{partition}}": "max by (topic, partition) (sagsbro_projection_lag_events)"},
            "One that grows while others do not: look at its worker.",
        ),
        Panel(
            "Work that waits",
            "timeseries",
            "s",
            {"for workers": "sagsbro:projection_lag_seconds", "for publishers": "sagsbro:outbox_seconds"},
            "How long it would take at the pace of now.",
        ),
        Panel(
            "Seconds since a worker moved",
            "timeseries",
            "s",
            {"{{instance}}": "time() - (sagsbro_worker_position_timestamp_seconds > 0)"},
            "Long where there is nothing to do; long with lag is stuck.",
        ),
        Panel(
            "Processor time and memory",
            "timeseries",
            "short",
            {
                "{{process}} {{instance}} cores": 'rate(process_cpu_seconds_total{job="sagsbro"}[5m])',
                "{{process}} {{instance}} GB": 'process_resident_memory_bytes{job="sagsbro"} / 1e9',
            },
            "A worker at one core is at its limit: start another.",
        ),
        Panel(
            "Certificates: time left",
            "timeseries",
            "s",
            {"{{certificate}}": "min by (certificate) (sagsbro_certificate_end_timestamp_seconds) - time()"},
            "Three weeks before its end there is a ticket, three days before it a page.",
            24,
        ),
    ),
    "Sources": (
        Panel(
            "How long since each source registered anything",
            "matrix",
            "s",
            {"age": "time() - sagsbro:source_last_event_timestamp_seconds:max"},
            "Municipality by system, by the source's clock. Compare with its own rhythm, not with its neighbour's.",
            24,
            14,
            own="freshness",
        ),
        Panel(
            "Expected in this hour, and not come",
            "table",
            "short",
            {"expected": "sagsbro:source_moves_expected:1h and sagsbro:source_moves:1h == 0"},
            "Mean of the same hour in the last three weeks, where nothing has come now.",
        ),
        Panel(
            "Agreements by state",
            "bargauge",
            "short",
            {"{{state}}": "count by (state) (max by (authority, system, state) (sagsbro_agreement_state))"},
            "How far municipalities have come; FULL and RESTRICTED deliver.",
            own="agreements",
        ),
        Panel(
            "Cases that differ from the source's own list",
            "table",
            "short",
            {"cases": "max by (authority, system, kind) (sagsbro_reconcile_cases) > 0"},
            "As of the last `sagsbro reconcile`: missing, superfluous, older here, newer here.",
        ),
        Panel(
            "Days since a source was compared with its own list",
            "table",
            "d",
            {"days": "(time() - max by (authority, system) (sagsbro_reconcile_timestamp_seconds)) / 86400"},
            "What never was is not here.",
        ),
    ),
    "Rejections": (
        Panel(
            "Rejections that wait, by code",
            "bargauge",
            "short",
            {"{{code}}": "sum by (code) (sagsbro:rejections_open:max)"},
            "What to mend first.",
            own="codes",
        ),
        Panel(
            "Rejections that wait, by vendor",
            "bargauge",
            "short",
            {"{{system}}": "sum by (system) (sagsbro:rejections_open:max)"},
            "Whom to call first.",
            own="vendors",
        ),
        Panel(
            "Rejections that wait, vendor by code",
            "table",
            "short",
            {"open": "sagsbro:rejections_open:max"},
            "`sagsbro rejections list --system ... --code ...` lists them.",
            own="crossed",
        ),
        Panel(
            "Part of a vendor's events that is refused",
            "timeseries",
            "percentunit",
            {
                "{{system}}": 'sum by (system) (rate(sagsbro_events_total{outcome="rejected"}[1h]))'
                " / sum by (system) (rate(sagsbro_events_total[1h]))"
            },
            "Of everything that the vendor sent.",
            24,
        ),
        Panel(
            "New rejections within the hour",
            "timeseries",
            "short",
            {"{{system}} {{code}}": "sagsbro:rejections_new:1h > 0"},
            "A new version of a vendor's program shows here first.",
        ),
        Panel(
            "Refused at intake and in workers",
            "timeseries",
            "cps",
            {"{{system}} {{process}}": 'sum by (system, process) (rate(sagsbro_events_total{outcome="rejected"}[5m]))'},
            "Each rejection is told once, where it was met.",
        ),
    ),
    "Access": (
        Panel(
            "Searches and reads",
            "timeseries",
            "cps",
            {"{{overview}} {{decision}}": "sum by (overview, decision) (rate(sagsbro_access_total[5m]))"},
            "Every read is logged before its answer.",
        ),
        Panel(
            "Denied, by reason",
            "timeseries",
            "cps",
            {"{{overview}} {{reason}}": 'sum by (overview, reason) (rate(sagsbro_access_total{decision="deny"}[5m]))'},
            "A new reason, or much of one, is a wrong set-up or somebody who tries.",
        ),
        Panel(
            "Reads against the same hour last week",
            "timeseries",
            "short",
            {
                "{{overview}}": "sum by (overview) (increase(sagsbro_access_total[1h]))"
                " / sum by (overview) (increase(sagsbro_access_total[1h] offset 1w))"
            },
            "1 is as ever. Many times as much: look in the access log for who it is.",
        ),
        Panel(
            "Part that is denied",
            "timeseries",
            "percentunit",
            {
                "{{overview}}": 'sum by (overview) (rate(sagsbro_access_total{decision="deny"}[1h]))'
                " / sum by (overview) (rate(sagsbro_access_total[1h]))"
            },
            "Against what is usual for the overview.",
        ),
        Panel(
            "Alarms of reads within the hour",
            "timeseries",
            "short",
            {"{{rule}}": "sum by (rule) (increase(sagsbro_access_alarms_total[1h]))"},
            "Who it was stands in the log of reads, for those who may ask it.",
        ),
        Panel(
            "The log of reads: waits for its seal, and was last found whole",
            "timeseries",
            "s",
            {
                "waits for its seal": "max(sagsbro_access_log_unsealed_seconds)",
                "found whole, ago": "time() - max(sagsbro_access_log_verified_timestamp_seconds)",
            },
            "A second, and a day.",
        ),
        Panel(
            "Flaws in the log of reads",
            "timeseries",
            "short",
            {"{{flaw}}": "sum by (flaw) (sagsbro_access_log_flaws)"},
            "What was not as it was sealed when a publisher last looked all of it through.",
        ),
        Panel(
            "From a withdrawal to the topics",
            "timeseries",
            "s",
            {
                "half": _quantile(0.5, "sagsbro_consent_purge_seconds"),
                "99 in 100": _quantile(0.99, "sagsbro_consent_purge_seconds"),
            },
            "A second is aimed at, ten are the deadline. Searches obey at once.",
        ),
        Panel(
            "Reads without the consent that was missing",
            "timeseries",
            "short",
            {"{{overview}}": "sum by (overview) (increase(sagsbro_break_glass_total[1h]))"},
            "Each is looked at.",
        ),
        Panel(
            "How long a search takes",
            "timeseries",
            "s",
            {
                "{{overview}} half": _quantile(0.5, "sagsbro_overview_search_seconds", "le, overview"),
                "{{overview}} 99 in 100": _quantile(0.99, "sagsbro_overview_search_seconds", "le, overview"),
            },
            "Its line in the access log included.",
            24,
        ),
    ),
}
