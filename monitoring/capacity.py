"""What processes use of their limits, where that is heading, and how many more they carry, by stored rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.conf import settings
from django.db.models import Max, Sum

from monitoring import costs
from monitoring.buckets import Bucket
from monitoring.costs import CPU_TERMS, MEMORY_TERMS, PRIOR_CPU, PRIOR_MEMORY, Costs, Load, Reading, Room
from monitoring.models import Resolution, UsageSnapshot
from monitoring.trend import Reach, Trend, daily_peaks, reach_of, trend_of

PRESENT = timedelta(hours=1)
LOAD_SPAN = timedelta(minutes=15)
"""What a process does now is what it did in this time."""
HISTORY = timedelta(days=90)
DAY_S = 86_400
FIT_SPAN = timedelta(days=1)
SPELL_S = 60.0
"""At least, between two rows that costs are fitted to: a short time says more of chance than of the load."""
MINUTE_SPELL_S = 300.0
"""The same of rows of minutes, which do not tell when in their minute they were taken."""
TOGETHER_S = 60
"""What processes do within so many seconds, or within two snapshots, they do at the same time."""
MOST_PROCESSES = 32

_READING = tuple(Reading.__dataclass_fields__)
_SIZES = ("database_mb", "history_mb", "journal_mb")


@dataclass(frozen=True, slots=True)
class Limit:
    """How much of a resource there is, and who says so; None where nobody does."""

    value: float | None
    source: str


@dataclass(frozen=True, slots=True)
class Use:
    """One resource now: the mean and the peak of the last hour, and its limit."""

    name: str
    unit: str
    mean: float | None
    peak: float | None
    limit: Limit

    @property
    def share(self) -> float | None:
        """The peak's, of the limit."""
        if self.peak is None or not self.limit.value:
            return None
        return self.peak / self.limit.value


@dataclass(frozen=True, slots=True)
class Outlook:
    """One resource of all processes: now, its trend, and when it reaches its limit."""

    use: Use
    trend: Trend | None
    reach: Reach | None
    history_days: int


@dataclass(frozen=True, slots=True)
class Carries:
    """How many more patients or viewers, and what limits them."""

    room: Room
    limited_by: str


@dataclass(frozen=True, slots=True)
class ProcessCapacity:
    """One process that runs: what it uses, what it does, and how many more it carries."""

    process: str
    at: datetime
    uses: list[Use]
    load: Load | None
    """None before there are two snapshots."""
    cpu: Costs
    memory: Costs
    patients: Carries
    viewers: Carries


@dataclass(frozen=True, slots=True)
class Capacity:
    """All that the page says; without processes nothing is stored of late."""

    processes: list[ProcessCapacity]
    outlooks: list[Outlook]

    @property
    def first(self) -> Outlook | None:
        """What reaches its limit first, if anything does within a year."""
        due = [
            (each.reach.days, n)
            for n, each in enumerate(self.outlooks)
            if each.reach is not None and each.reach.days is not None
        ]
        return self.outlooks[min(due)[1]] if due else None


def capacity(now: datetime) -> Capacity:
    """As of now; blocks for some queries, and some tens of milliseconds of CPU a process."""
    running = _running(now)
    return Capacity([_process(of_one, now) for of_one in running], _outlooks(running, now) if running else [])


def limits(now: datetime) -> dict[str, float | None]:
    """Of each resource of all processes, as `capacity` says them."""
    running = _running(now)
    return {use.name: use.limit.value for use in _uses(running)} if running else {}


def _running(now: datetime) -> list[list[UsageSnapshot]]:
    """The last hour's rows of each process that was heard of just now, oldest first."""
    rows = UsageSnapshot.objects.filter(resolution=Resolution.FULL, at__gte=now - PRESENT, at__lte=now)
    by_process: dict[str, list[UsageSnapshot]] = {}
    for row in rows.order_by("at"):
        by_process.setdefault(row.process, []).append(row)
    fresh = now - timedelta(seconds=max(60, 4 * settings.VITAL_SNAPSHOT_INTERVAL_S))
    return [of_one for of_one in by_process.values() if of_one[-1].at >= fresh][:MOST_PROCESSES]


# -- one process


def _process(rows: Sequence[UsageSnapshot], now: datetime) -> ProcessCapacity:
    last = rows[-1]
    cpu, memory = _costs(last.process, rows, now)
    load = _present_load(rows, now)
    core, room_mb = _cpu_limit(rows), _memory_limit(rows)
    # Databases are not one process's.
    uses = [use for use in _uses([rows]) if use.name != "databases"]
    return ProcessCapacity(
        process=last.process,
        at=last.at,
        uses=uses,
        load=load,
        cpu=cpu,
        memory=memory,
        patients=_carries(costs.more_patients, cpu, memory, load, core, room_mb),
        viewers=_carries(costs.more_viewers, cpu, memory, load, core, room_mb),
    )


def _carries(
    count: Any, cpu: Costs, memory: Costs, load: Load | None, core: Limit, room_mb: Limit
) -> Carries:
    """By whichever of CPU and memory is full first, each with its head-room."""
    if load is None:
        return Carries(Room(None, None, None), "")
    found = []
    for name, of, limit in (("CPU", cpu, core), ("memory", memory, room_mb)):
        if limit.value is not None:
            room = count(of, load, limit.value * (1 - costs.HEADROOM))
            if room.more is not None:
                found.append(Carries(room, name))
    return min(found, key=lambda each: each.room.more or 0, default=Carries(Room(None, None, None), ""))


def _costs(process: str, rows: Sequence[UsageSnapshot], now: datetime) -> tuple[Costs, Costs]:
    """Fitted to what the process did in the last day."""
    minutes = UsageSnapshot.objects.filter(
        resolution=Resolution.MINUTE, process=process, at__gte=now - FIT_SPAN, at__lt=rows[0].at
    ).order_by("at")
    spells = [
        *_spells(
            (Reading(**row | {"at": row["at"].timestamp()}) for row in minutes.values(*_READING)),
            MINUTE_SPELL_S,
        ),
        *_spells(map(_reading, rows), max(SPELL_S, settings.VITAL_SNAPSHOT_INTERVAL_S)),
    ]
    loads = [spell.load for spell in spells]
    return (
        costs.fit(loads, [spell.cpu for spell in spells], CPU_TERMS, PRIOR_CPU),
        costs.fit(loads, [spell.memory_mb for spell in spells], MEMORY_TERMS, PRIOR_MEMORY),
    )


def _spells(readings: Iterable[Reading], least_s: float) -> list[costs.Measured]:
    """From one row to the next that is so much later."""
    kept: list[Reading] = []
    for reading in readings:
        if not kept or reading.at - kept[-1].at >= least_s:
            kept.append(reading)
    found = (costs.measured(*pair) for pair in pairwise(kept))
    # Longer ones have a gap in them: what happened meanwhile is not known.
    return [spell for spell in found if spell is not None and spell.seconds <= 3 * least_s]


def _present_load(rows: Sequence[UsageSnapshot], now: datetime) -> Load | None:
    recent = [_reading(row) for row in rows if row.at >= now - LOAD_SPAN]
    if len(recent) < 2:
        return None
    found = costs.measured(recent[0], recent[-1])
    return None if found is None else found.load


def _reading(row: UsageSnapshot) -> Reading:
    values = {name: getattr(row, name) for name in _READING}
    return Reading(**values | {"at": row.at.timestamp()})


# -- resources, each over the rows of one process or of several


def _uses(running: Sequence[Sequence[UsageSnapshot]]) -> list[Use]:
    """Of all processes together."""
    reads = (_cpu_use, _memory_use, _bandwidth_use, _buffer_use, _viewers_use, _database_use)
    return [read(running) for read in reads]


def _cpu_limit(rows: Sequence[UsageSnapshot]) -> Limit:
    """An event loop runs on one core, however many there are."""
    cores = rows[-1].cores
    if cores is not None and cores < 1:
        return Limit(cores, "the process's control group")
    return Limit(1.0, "one core: the process has one event loop")


def _memory_limit(rows: Sequence[UsageSnapshot]) -> Limit:
    if settings.VITAL_CAPACITY_MEMORY_MB:
        return Limit(float(settings.VITAL_CAPACITY_MEMORY_MB), "VITAL_CAPACITY_MEMORY_MB")
    value = rows[-1].memory_limit_mb
    return Limit(
        value, "control group or machine" if value else "not known; VITAL_CAPACITY_MEMORY_MB sets it"
    )


def _asked(value: int, name: str) -> Limit:
    return Limit(float(value), name) if value else Limit(None, f"not known; {name} sets it")


def _cpu_use(processes: Sequence[Sequence[UsageSnapshot]]) -> Use:
    """Of the process that uses most."""
    busiest = max(processes, key=lambda rows: _peak(rows, "cpu_share") or 0.0)
    return Use("CPU", "cores", _rate(busiest, "cpu_s"), _peak(busiest, "cpu_share"), _cpu_limit(busiest))


def _memory_use(processes: Sequence[Sequence[UsageSnapshot]]) -> Use:
    largest = max(processes, key=lambda rows: _peak(rows, "rss_mb") or 0.0)
    mean = sum(row.rss_mb for row in largest) / len(largest)
    return Use("memory", "MB", mean, _peak(largest, "rss_mb"), _memory_limit(largest))


def _bandwidth_use(processes: Sequence[Sequence[UsageSnapshot]]) -> Use:
    """Of all together: they share the machine's network."""
    rates = [_rate(rows, "bytes_sent") for rows in processes]
    known = [rate * 8e-6 for rate in rates if rate is not None]
    peak = _peak_together(processes, "sent_mbps")
    limit = _asked(settings.VITAL_CAPACITY_MBPS, "VITAL_CAPACITY_MBPS")
    return Use("bandwidth", "Mbit/s", sum(known) if known else None, peak, limit)


def _buffer_use(processes: Sequence[Sequence[UsageSnapshot]]) -> Use:
    """Of the fullest viewer's queue, by count, bytes or age, whichever is nearest to its bound."""
    fullest = max(processes, key=lambda rows: _peak(rows, "pressure") or 0.0)
    mean = sum(row.pressure for row in fullest) / len(fullest)
    return Use("buffer", "share", mean, _peak(fullest, "pressure"), Limit(1.0, "the profile's bounds"))


def _viewers_use(processes: Sequence[Sequence[UsageSnapshot]]) -> Use:
    mean = sum(sum(row.viewers for row in rows) / len(rows) for rows in processes)
    peak = _peak_together(processes, "viewers")
    limit = _asked(settings.VITAL_CAPACITY_VIEWERS, "VITAL_CAPACITY_VIEWERS")
    return Use("viewers", "viewers", mean, peak, limit)


def _database_use(processes: Sequence[Sequence[UsageSnapshot]]) -> Use:
    """Of all databases; several processes share them."""
    sizes = [size for rows in processes for row in rows if (size := _stored_mb(row)) is not None]
    last = max((rows[-1] for rows in processes), key=lambda row: row.at)
    limit = Limit(None, "not known of a database server; VITAL_CAPACITY_DATABASE_MB sets it")
    size = _stored_mb(last)
    if settings.VITAL_CAPACITY_DATABASE_MB:
        limit = Limit(float(settings.VITAL_CAPACITY_DATABASE_MB), "VITAL_CAPACITY_DATABASE_MB")
    elif size is not None and last.disk_free_mb is not None:
        limit = Limit(size + last.disk_free_mb, "what is free on the disk, and this")
    return Use("databases", "MB", size, max(sizes, default=None), limit)


def _stored_mb(row: UsageSnapshot) -> float | None:
    known = [size for name in _SIZES if (size := getattr(row, name)) is not None]
    return sum(known) if known else None


def _peak(rows: Sequence[UsageSnapshot], name: str) -> float | None:
    return max((value for row in rows if (value := getattr(row, name)) is not None), default=None)


def _peak_together(processes: Sequence[Sequence[UsageSnapshot]], name: str) -> float | None:
    """Of the sum of all, each by its mean of a minute: who goes to another process is no two viewers."""
    step_s = max(TOGETHER_S, 2 * settings.VITAL_SNAPSHOT_INTERVAL_S)
    sums: dict[int, float] = {}
    for rows in processes:
        by_step: dict[int, list[float]] = {}
        for row in rows:
            if (value := getattr(row, name)) is not None:
                by_step.setdefault(int(row.at.timestamp() // step_s), []).append(value)
        for step, values in by_step.items():
            sums[step] = sums.get(step, 0.0) + sum(values) / len(values)
    return max(sums.values(), default=None)


def _rate(rows: Sequence[UsageSnapshot], name: str) -> float | None:
    """A counter's growth a second over all of these rows."""
    first, last = rows[0], rows[-1]
    seconds = (last.at - first.at).total_seconds()
    return (getattr(last, name) - getattr(first, name)) / seconds if seconds > 0 else None


# -- trends, over all processes: one that starts anew has another name


@dataclass(frozen=True, slots=True)
class History:
    """By hour, in Unix seconds: what each resource of all processes came to; None where nothing is stored."""

    times: list[float]
    lines: dict[str, list[float | None]]


_SUMMED = frozenset({"bandwidth", "viewers"})
"""Of all processes together; of others the process where it is most."""
_COLUMNS = {
    "CPU": "cpu_share",
    "memory": "rss_mb",
    "bandwidth": "sent_mbps",
    "buffer": "pressure",
    "viewers": "viewers",
}


def history(now: datetime, span: timedelta = HISTORY) -> History:
    """The peaks of every hour: of CPU, memory and buffer the process where it is most, of others the sum.

    In the sum each process counts by how much of the hour it was there: one that took another's place in the
    middle of it has the same viewers, and not as many more.
    """
    cells: dict[int, dict[str, dict[str, float]]] = {}
    taken: dict[int, Counter[str]] = {}
    for row in _hourly(now - span, now):
        hour = cells.setdefault(3600 * row["bucket"], {})
        taken.setdefault(3600 * row["bucket"], Counter())[row["process"]] += row["taken"]
        known = {name: row[f"of_{column}"] for name, column in _COLUMNS.items()}
        sizes = [size for name in _SIZES if (size := row[f"of_{name}"]) is not None]
        known["databases"] = sum(sizes) if sizes else None
        for name, value in known.items():
            if value is not None:
                # Rows of two resolutions may meet in one hour.
                by_process = hour.setdefault(name, {})
                by_process[row["process"]] = max(float(value), by_process.get(row["process"], 0.0))
    times = [float(hour) for hour in range(min(cells), max(cells) + 1, 3600)] if cells else []
    whole = _whole_hours(taken, now)
    lines: dict[str, list[float | None]] = {name: [] for name in (*_COLUMNS, "databases")}
    for at in map(int, times):
        for name, line in lines.items():
            values = cells.get(at, {}).get(name)
            if values and name in _SUMMED:
                shares = {process: min(1.0, taken[at][process] / whole[at]) for process in values}
                line.append(sum(value * shares[process] for process, value in values.items()))
            else:
                line.append(max(values.values()) if values else None)
    return History(times, lines)


def _whole_hours(taken: Mapping[int, Mapping[str, int]], now: datetime) -> dict[int, float]:
    """How many snapshots whoever is there for the whole of an hour takes, by the most of any hour that day.

    The present hour is not over.
    """
    most: dict[int, int] = {}
    for hour, counts in taken.items():
        most[hour // DAY_S] = max(most.get(hour // DAY_S, 1), *counts.values())
    return {hour: most[hour // DAY_S] * min(1.0, max(1.0, now.timestamp() - hour) / 3600) for hour in taken}


def _hourly(start: datetime, stop: datetime) -> Iterable[dict[str, Any]]:
    """The most of each column by hour and process: of rows of hours as far as there are any, then finer."""
    columns = [*_COLUMNS.values(), *_SIZES]
    for resolution in (Resolution.HOUR, Resolution.MINUTE, Resolution.FULL):
        rows = UsageSnapshot.objects.filter(resolution=resolution, at__gte=start, at__lte=stop)
        counted: Any = rows.annotate(bucket=Bucket("at", 3600)).values("bucket", "process")
        peaks = {f"of_{name}": Max(name) for name in columns}
        yield from counted.annotate(taken=Sum("samples"), **peaks).order_by()
        newest = rows.aggregate(last=Max("at"))["last"]
        if newest is not None:
            start = newest + timedelta(seconds=int(resolution))


def _outlooks(running: Sequence[Sequence[UsageSnapshot]], now: datetime) -> list[Outlook]:
    past = history(now)
    today = now.timestamp() // DAY_S
    found = []
    for use in _uses(running):
        values = past.lines[use.name]
        known = [(at, value) for at, value in zip(past.times, values, strict=True) if value is not None]
        days, peaks = daily_peaks([at for at, _ in known], [value for _, value in known])
        trend = trend_of(days, peaks, today)
        reach = None
        if trend is not None and use.limit.value is not None:
            reach = reach_of(trend, use.limit.value)
        found.append(Outlook(use, trend, reach, int((days < today).sum())))
    return found
