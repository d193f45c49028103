"""Metrics every service exports. Labels name parts of the system, never people."""

from prometheus_client import Counter, Gauge, Histogram

TAKEN = Counter("salur_events_taken", "Events a consumer has taken", ["consumer"])
HOLES = Counter("salur_hole_records", "Records dropped because an earlier one of their stream is missing", ["consumer"])
APPENDED = Gauge("salur_stream_head", "Events in all streams of this service")
UNPUBLISHED = Gauge("salur_unpublished", "Events not yet acknowledged by Kafka")
DEAD_LETTERS = Gauge("salur_dead_letters", "Keys waiting behind a dead letter")
REQUEST_SECONDS = Histogram("salur_http_request_seconds", "HTTP requests", ["route", "method", "status"])
BACKLOG = Gauge("salur_backlog", "Things that wait for somebody", ["what", "bank"])
RECEIPTS = Gauge("salur_receipts", "Recipients of a cycle: asked, answered, confirmed the whole sum", ["cycle", "said"])
BACKLOG_AGE_S = Gauge("salur_backlog_age_seconds", "How long the oldest of them has waited", ["what", "bank"])
