"""The mutants: what is replaced by what, and the tests that must fail then."""

from __future__ import annotations

from dataclasses import dataclass

OUTBOX, LANE, WINDOW = "streaming/core/outbox.py", "streaming/core/lane.py", "streaming/core/window.py"
NETWORK, FRAMES, MESSAGES = (
    "streaming/core/network.py",
    "streaming/core/frames.py",
    "streaming/core/messages.py",
)
SEND_QUEUE, T_SEND_QUEUE = "streaming/core/send_queue.py", "tests/core/test_send_queue.py"
BACKPRESSURE, FANOUT = "streaming/backpressure.py", "streaming/fanout.py"
PRECEDENCE, T_PRECEDENCE = "streaming/core/precedence.py", "tests/core/test_precedence.py"
CHANGES, T_CHANGES = "streaming/store/profile_changes.py", "tests/store/test_profile_changes.py"
WATCH, T_RUNTIME = "streaming/settings_watch.py", "tests/test_runtime.py"
HUB, T_RENDITIONS = "streaming/hub.py", "tests/test_hub_renditions.py"
ROOM, SUBSCRIBER = "streaming/room.py", "streaming/subscriber.py"
T_OUTBOX, T_MODEL = "tests/core/test_outbox.py", "tests/core/test_outbox_model.py"
T_WINDOW, T_WINDOW_MODEL = "tests/core/test_window.py", "tests/core/test_window_model.py"
T_NETWORK, T_FRAMES, T_MESSAGES = (
    "tests/core/test_network.py",
    "tests/core/test_frames.py",
    "tests/core/test_messages.py",
)
ALERTS, T_ALERTS = "monitoring/alert_engine.py", "tests/monitoring/test_alert_engine.py"
FIGURES, T_FIGURES = "monitoring/alert_metrics.py", "tests/monitoring/test_alert_metrics.py"
ALERT_STORE, T_ALERT_STORE = "monitoring/alert_store.py", "tests/monitoring/test_alert_store.py"
ALERT_WATCH, T_ALERT_WATCH = "monitoring/alert_watch.py", "tests/monitoring/test_alert_watch.py"
DELIVERIES, T_DELIVERIES = "monitoring/deliveries.py", "tests/monitoring/test_deliveries.py"
WEBHOOK, T_WEBHOOK = "monitoring/webhook.py", "tests/monitoring/test_webhook.py"
ADDRESSES = "monitoring/channel_addresses.py"
T_BACKPRESSURE, T_SUBSCRIBER = "tests/test_backpressure.py", "tests/test_subscriber.py"
T_PREPARED, T_BOOKS = "tests/test_backpressure_prepared.py", "tests/test_backpressure_metrics.py"
T_FANOUT, T_HUB, T_ROOM = "tests/test_fanout.py", "tests/test_hub.py", "tests/test_room.py"


@dataclass(frozen=True, slots=True)
class Mutant:
    """`old` stands once in `path`; with `new` in its place one of `tests` must fail."""

    what: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTANTS = (
    Mutant(
        "CRITICAL is refused like anything else",
        OUTBOX,
        "protected = item.control or queue.critical",
        "protected = item.control",
        (T_OUTBOX,),
    ),
    Mutant(
        "control counts towards no overflow",
        OUTBOX,
        "return self._totals.protected_bytes > CONTROL_LIMIT_BYTES",
        "return self._totals.protected_bytes > 2 * CONTROL_LIMIT_BYTES",
        (T_OUTBOX,),
    ),
    Mutant(
        "a full HIGH refuses the newest",
        OUTBOX,
        "if item.priority != MessagePriority.HIGH or item.size_bytes > queue.max_bytes:",
        "if item.priority == MessagePriority.HIGH or item.size_bytes > queue.max_bytes:",
        (T_OUTBOX,),
    ),
    Mutant(
        "BULK is queued under backpressure",
        OUTBOX,
        "if item.priority == MessagePriority.BULK:",
        "if item.priority == MessagePriority.CRITICAL:",
        (T_OUTBOX,),
    ),
    Mutant(
        "NORMAL gives way as early as LOW",
        OUTBOX,
        "chance *= chance",
        "chance *= 1.0",
        (T_OUTBOX,),
    ),
    Mutant(
        "an emergency ends at once",
        OUTBOX,
        "if lane.emergency and lane.crowding() < low:",
        "if lane.emergency and lane.crowding() < lane.profile.critical_watermark:",
        (T_OUTBOX,),
    ),
    Mutant(
        "an emergency keeps the queued waveform",
        OUTBOX,
        "if not queue.critical:\n                drops += _dropped(queue, queue.take_waveform()",
        "if queue.critical:\n                drops += _dropped(queue, queue.take_waveform()",
        (T_OUTBOX,),
    ),
    Mutant(
        "a stale item is sent",
        OUTBOX,
        "if not item.control and item.offered_at < now - queue.max_age_s:",
        "if item.control and item.offered_at < now - queue.max_age_s:",
        (T_OUTBOX,),
    ),
    Mutant(
        "an expiry is no reason for backpressure",
        OUTBOX,
        "if expired or now >= oldest_at + queue.press_age_s:",
        "if now >= oldest_at + queue.press_age_s:",
        (T_OUTBOX,),
    ),
    Mutant(
        "a lane that fills anew each time always goes first",
        OUTBOX,
        "ring[0].credit_bytes += _QUANTUM_BYTES",
        "ring[0].credit_bytes += 0",
        (T_OUTBOX,),
    ),
    Mutant(
        "a lane that waits earns no more",
        OUTBOX,
        "(1 + min(1.0, max(0.0, waited)))",
        "(1 + min(0.0, max(0.0, waited)))",
        (T_OUTBOX,),
    ),
    Mutant(
        "what is overdue waits until no HIGH is left",
        OUTBOX,
        "if size > self._overdue_credit or (taken and size > budget):",
        "if size >= 0:",
        (T_OUTBOX,),
    ),
    Mutant(
        "what is overdue has no bound",
        OUTBOX,
        "if size > self._overdue_credit or (taken and size > budget):",
        "if taken and size > budget:",
        (T_OUTBOX,),
    ),
    Mutant(
        "what is held may be passed by what belongs behind it",
        SEND_QUEUE,
        "if self.backlog and not self._may_pass(item, was_first=was_first):",
        "if False:",
        (T_SEND_QUEUE,),
    ),
    Mutant(
        "what is held does not expire",
        BACKPRESSURE,
        "if budget <= 0:",
        "if budget < -MAX_BUNDLE_BYTES:",
        (T_FANOUT,),
    ),
    Mutant(
        "an emergency leaves alone what is held",
        SEND_QUEUE,
        "if self.backlog and self.outbox.emergency:",
        "if False:",
        (T_SEND_QUEUE,),
    ),
    Mutant(
        "what is held goes before what has queued",
        SEND_QUEUE,
        "share = None if items else backlog.take(budget_bytes)",
        "share = backlog.take(budget_bytes)",
        (T_SEND_QUEUE,),
    ),
    Mutant(
        "a late process is taken for a slow path",
        WINDOW,
        "or late_s > _LATE_SHARE * took_s",
        "or late_s < 0",
        (T_WINDOW,),
    ),
    Mutant(
        "a window grows where it queues",
        WINDOW,
        "if not newest.app_limited and rtt_s - base_s <= max(base_s, _MIN_RTT_S):",
        "if not newest.app_limited:",
        (T_WINDOW,),
    ),
    Mutant(
        "counts of a lane that is gone are lost",
        OUTBOX,
        "self._past[index] += queue.counts",
        "self._past[index] += ClassCounts()",
        (T_OUTBOX,),
    ),
    Mutant(
        "a refused item is not counted",
        OUTBOX,
        "ClassCounts(offered=1, abandoned=1)",
        "ClassCounts(offered=1)",
        (T_MODEL,),
    ),
    Mutant(
        "a smaller bound on all lanes is not seen by those there are",
        OUTBOX,
        "lane.take_bounds(lane.profile)",
        "lane.take_bounds",
        (T_OUTBOX,),
    ),
    Mutant(
        "a value that was renewed hides what is older behind it",
        LANE,
        "            if item.key is None:\n                break\n        return oldest_at",
        "            break\n        return oldest_at",
        (T_OUTBOX,),
    ),
    Mutant(
        "a GAP comes behind what is queued",
        LANE,
        "elif behind is None and other.span.first >= span.first:",
        "elif behind is None and other.span.first > span.stop:",
        (T_OUTBOX,),
    ),
    Mutant(
        "GAPs do not join",
        LANE,
        "and other.span.touches(span):",
        "and other.span == span:",
        (T_OUTBOX,),
    ),
    Mutant(
        "a class is bounded by count alone",
        LANE,
        "and self.size_bytes + size_bytes <= self.max_bytes\n            and self.lane.count",
        "and self.lane.count",
        (T_OUTBOX,),
    ),
    Mutant(
        "control uses up the quota of its class",
        LANE,
        "        if item.control:\n            self.totals.protected_bytes += size\n            return\n",
        "        if item.control:\n            self.totals.protected_bytes += size\n",
        (T_OUTBOX,),
    ),
    Mutant(
        "an ack of what was never sent passes",
        WINDOW,
        "if n > self.sent:",
        "if n > self.sent + 1:",
        (T_WINDOW,),
    ),
    Mutant(
        "an ack frees one message too few",
        WINDOW,
        "for _ in range(messages - 1):",
        "for _ in range(messages - 2):",
        (T_WINDOW,),
    ),
    Mutant(
        "a client may hold an ack for as long as it says",
        WINDOW,
        "now - min(max(held_s, 0.0), 1.0)",
        "now - max(held_s, 0.0)",
        (T_WINDOW,),
    ),
    Mutant(
        "CRITICAL has no credit of its own",
        WINDOW,
        "return self.room + CRITICAL_CREDIT_BYTES",
        "return self.room",
        (T_WINDOW,),
    ),
    Mutant(
        "the window has no bound",
        WINDOW,
        "max(self.max_bytes, two)))",
        "4 * max(self.max_bytes, two)))",
        (T_WINDOW,),
    ),
    Mutant(
        "a stall is never noticed",
        WINDOW,
        "return self.oldest_age(now) >= self.stall_s",
        "return self.oldest_age(now) >= 2 * self.stall_s",
        (T_WINDOW,),
    ),
    Mutant(
        "any ack but the right one ends no silence",
        WINDOW,
        "        self._heard_at = now\n        if n <= self.acked:",
        "        if n <= self.acked:",
        (T_WINDOW,),
    ),
    Mutant(
        "a saturated window never looks for the bare round trip",
        WINDOW,
        "self._draining = age_s >= _PROBE_AFTER_S",
        "self._draining = False",
        (T_WINDOW,),
    ),
    Mutant(
        "the smallest round trip is believed for ever",
        NETWORK,
        "_MIN_RTT_SPAN_S = 10.0",
        "_MIN_RTT_SPAN_S = 1e9",
        (T_NETWORK,),
    ),
    Mutant(
        "a sender with nothing to send lowers the rate",
        NETWORK,
        "if rate <= 0 or (app_limited and",
        "if rate <= 0 or (not app_limited and",
        (T_NETWORK,),
    ),
    Mutant(
        "a condition gets better at once",
        NETWORK,
        "_keep_largest(self._worst_read, now, max(before, self._read), _RECOVERY_S)",
        "_keep_largest(self._worst_read, now, max(before, self._read), 0.0)",
        (T_NETWORK,),
    ),
    Mutant(
        "an outage counts as a slow path",
        NETWORK,
        "if took_s <= _OUTAGE_S:",
        "if took_s <= 100 * _OUTAGE_S:",
        (T_NETWORK,),
    ),
    Mutant(
        "a needless byte of a length passes",
        FRAMES,
        "if byte == 0 and shift:",
        "if byte == 0 and not shift:",
        (T_FRAMES,),
    ),
    Mutant(
        "a frame may end beyond its bundle",
        FRAMES,
        "or at + size > end:",
        "or at > end:",
        (T_FRAMES,),
    ),
    Mutant(
        "a waveform may have the flags of JSON",
        FRAMES,
        "if flags and (frame.kind is not FrameKind.JSON or frame.flags not in _OF_JSON):",
        "if flags and frame.flags not in _OF_JSON:",
        (T_FRAMES,),
    ),
    Mutant(
        "an unknown type that must be understood is skipped",
        MESSAGES,
        'if fields.flag("must_understand"):',
        'if not fields.flag("must_understand"):',
        (T_MESSAGES,),
    ),
    Mutant(
        "the focus may be any stream",
        MESSAGES,
        "if focus is not None and focus not in streams:",
        "if focus is not None and focus in streams:",
        (T_MESSAGES,),
    ),
    Mutant(
        "two leads may have one name",
        MESSAGES,
        "if len({lead.name for lead in leads}) != len(leads):",
        "if len({lead.name for lead in leads}) > len(leads):",
        (T_MESSAGES,),
    ),
    Mutant(
        "what is in flight at the end is not counted as lost",
        BACKPRESSURE,
        "self._lost_in_flight[index] = counts.taken - self._acked[index]",
        "self._lost_in_flight[index] = 0",
        (T_BACKPRESSURE, T_BOOKS),
    ),
    Mutant(
        "a shared bundle overtakes what waits",
        BACKPRESSURE,
        "or self._sleep.done()\n",
        "or self._sleep.cancelled()\n",
        (T_PREPARED, T_SUBSCRIBER, T_FANOUT),
    ),
    Mutant(
        "a shared bundle leaves without credit",
        BACKPRESSURE,
        "len(message) > min(window.room, window.bundle_limit)",
        "len(message) > MAX_BUNDLE_BYTES",
        (T_PREPARED, T_SUBSCRIBER, T_FANOUT),
    ),
    Mutant(
        "an alarm waits for credit like anything else",
        BACKPRESSURE,
        "elif not self._waiting_for_credit or queue.outbox.critical_waiting:",
        "elif not self._waiting_for_credit:",
        (T_BACKPRESSURE,),
    ),
    Mutant(
        "too much control is borne",
        BACKPRESSURE,
        "self._cut(CutReason.CONTROL_OVERFLOW)",
        "self._wake()",
        (T_BACKPRESSURE,),
    ),
    Mutant(
        "each viewer gets its own copy",
        FANOUT,
        "if batch is None:",
        "if batch is None or batch.takers:",
        (T_FANOUT, T_HUB),
    ),
    Mutant(
        "a tick comes as often as frames do",
        FANOUT,
        "self._tick_at(max(now + self._gather_s, self._next_at), now)",
        "self._tick_at(now + self._gather_s, now)",
        (T_FANOUT, T_HUB),
    ),
    Mutant(
        "what waits under the old alias goes out after the change",
        FANOUT,
        "for announcement in self._loads):\n            self._tick_now()\n",
        "for announcement in self._loads):\n            self._finish()\n",
        (T_FANOUT, T_HUB, T_ROOM),
    ),
    Mutant(
        "a hole that nobody told of has no GAP",
        ROOM,
        "if expected is not None and expected < first:",
        "if expected is not None and expected > first:",
        (T_HUB, T_ROOM),
    ),
    Mutant(
        "an older epoch goes on beside the newer",
        ROOM,
        "if self._info is not None and bundle.info.epoch < self._info.epoch:",
        "if self._info is not None and bundle.info.epoch < 0:",
        (T_HUB, T_ROOM),
    ),
    Mutant(
        "what came twice is sent twice",
        ROOM,
        "if (known := self._strip.stop) is not None and frame.first < known:",
        "if (known := self._strip.stop) is not None and frame.first < known - 10**6:",
        (T_HUB, T_ROOM),
    ),
    Mutant(
        "what expired leaves no GAP",
        SUBSCRIBER,
        "DropReason.EXPIRED: GapReason.EXPIRED,\n",
        "",
        (T_SUBSCRIBER,),
    ),
    Mutant(
        "a frame comes before its alias is announced",
        SUBSCRIBER,
        "if not aliases <= self._announced or (",
        "if aliases < self._announced or (",
        (T_SUBSCRIBER, T_FANOUT),
    ),
    Mutant(
        "an alias that was never sent counts as known",
        SUBSCRIBER,
        "                self._announced.discard(drop.item.key)\n",
        "                self._announced.add(drop.item.key)\n",
        (T_SUBSCRIBER,),
    ),
    Mutant(
        "a pattern wins over a ward",
        PRECEDENCE,
        "return (*own, *of_ward, *_patterns(names, group), DEFAULT_NAME)",
        "return (*own, *_patterns(names, group), *of_ward, DEFAULT_NAME)",
        (T_PRECEDENCE,),
    ),
    Mutant(
        "a ward is judged without the longer patterns that may govern its streams",
        PRECEDENCE,
        "if len(pattern) - 1 > len(_ANY_STREAM) and pattern.startswith(_ANY_STREAM):",
        "if False:",
        (T_PRECEDENCE,),
    ),
    Mutant(
        "a plan of a former version is carried out",
        CHANGES,
        "if version != plan.version + 1:",
        "if version < plan.version + 1:",
        (T_CHANGES,),
    ),
    Mutant(
        "undoing takes back what was changed since",
        CHANGES,
        "row = dict(rows.get(change.name, {}))",
        "row = dict(change.before)",
        (T_CHANGES,),
    ),
    Mutant(
        "a stream that comes to lie in a ward is governed by its settings after the next change alone",
        WATCH,
        "if version == self.held.version and not await self._streams_have_moved():",
        "if version == self.held.version:",
        (T_RUNTIME,),
    ),
    Mutant(
        "what is refused is told late",
        WATCH,
        "self._refusal = refusal\n        self.due.set()",
        "self._refusal = refusal",
        (T_RUNTIME,),
    ),
    Mutant(
        "a running stream keeps its best rendition",
        HUB,
        "room.cap(profiles.for_group(room.group).best_rendition)",
        "room.group",
        (T_RENDITIONS,),
    ),
    Mutant(
        "time without a figure counts as held",
        ALERTS,
        "watched.seen_at = None  # the time until it is known again counts for nothing",
        "watched.seen_at = watched.seen_at",
        (T_ALERTS,),
    ),
    Mutant(
        "an alert opens anew before its cool-down",
        ALERTS,
        "watched.held_s >= rule.hold_s and now >= watched.silent_until",
        "watched.held_s >= rule.hold_s",
        (T_ALERTS,),
    ),
    Mutant(
        "a group that comes back is told of before its cool-down",
        ALERTS,
        "if now >= watched.silent_until:\n            del",
        "if now >= 0:\n            del",
        (T_ALERTS,),
    ),
    Mutant(
        "a counter that began anew fell",
        FIGURES,
        "return value - former if value >= former else value",
        "return value - former",
        (T_FIGURES,),
    ),
    Mutant(
        "two processes resolve, and tell, one orphan",
        ALERT_STORE,
        "return bool(Alert.objects.filter(pk=uid, resolved_at=None).update(",
        "return bool(Alert.objects.filter(pk=uid).update(",
        (T_ALERT_STORE,),
    ),
    Mutant(
        "a bad row switches its rule off",
        ALERT_STORE,
        "if row.pk in held.by_id:",
        "if False:",
        (T_ALERT_STORE,),
    ),
    Mutant(
        "what could not be stored takes the place of what came after it",
        ALERT_WATCH,
        "self._entries = written | self._entries",
        "self._entries = self._entries | written",
        (T_ALERT_WATCH,),
    ),
    Mutant(
        "two processes make one attempt",
        DELIVERIES,
        "pk=message.pk, state=DeliveryState.WAITING, attempts=message.attempts",
        "pk=message.pk, state=DeliveryState.WAITING",
        (T_DELIVERIES,),
    ),
    Mutant(
        "a channel that fails holds up the others",
        DELIVERIES,
        "failed.add(message.channel_id)",
        "failed.update()",
        (T_DELIVERIES,),
    ),
    Mutant(
        "a server that drips holds the thread for ever",
        WEBHOOK,
        "watchdog.start()",
        "watchdog.name",
        (T_WEBHOOK,),
    ),
    Mutant(
        "a name is looked up again for the connection",
        WEBHOOK,
        "socket.create_connection((self._ip, self.port), self.timeout)",
        "socket.create_connection((self.host, self.port), self.timeout)",
        (T_WEBHOOK,),
    ),
    Mutant(
        "of several addresses only the first is looked at",
        ADDRESSES,
        "any(not _is_public(each) for each in found)",
        "not _is_public(found[0])",
        (T_WEBHOOK,),
    ),
)
