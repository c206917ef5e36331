#!/usr/bin/env python3
"""Sends metrics, logs and spans with OpenTelemetry's SDK: usage: otel_client.py http|grpc URL gzip|none"""
import sys

from opentelemetry import metrics, trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider, LogRecord
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

PROTOCOL, URL, COMPRESSION = sys.argv[1:]
if PROTOCOL == "http":
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    PACKED = Compression.Gzip if COMPRESSION == "gzip" else Compression.NoCompression

    def options(path):
        return {"endpoint": URL + path, "compression": PACKED}
else:
    from grpc import Compression
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    PACKED = Compression.Gzip if COMPRESSION == "gzip" else Compression.NoCompression

    def options(_path):
        return {"endpoint": URL, "compression": PACKED, "insecure": True}

RESOURCE = Resource.create({"service.name": f"python-{PROTOCOL}-{COMPRESSION}"})

reader = PeriodicExportingMetricReader(OTLPMetricExporter(**options("/v1/metrics")), 3_600_000)
fine = View(instrument_name="exact", aggregation=ExponentialBucketHistogramAggregation())
meters = MeterProvider([reader], resource=RESOURCE, views=[fine])
metrics.set_meter_provider(meters)
meter = meters.get_meter("client")
meter.create_counter("requests").add(3, {"route": "/cart"})
meter.create_up_down_counter("queue").add(-2)
meter.create_observable_gauge("heat", [lambda _: [metrics.Observation(21.5, {"room": "é"})]])
meter.create_histogram("latency").record(0.25, {"route": "/cart"})
meter.create_histogram("exact").record(0.25)
if not meters.force_flush():
    sys.exit("metrics were not taken")

tracers = TracerProvider(resource=RESOURCE)
tracers.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(**options("/v1/traces"))))
with tracers.get_tracer("client").start_as_current_span("work") as span:
    context = span.get_span_context()
    span.set_attribute("peers", ["a", "b"])

logs = LoggerProvider(resource=RESOURCE)
logs.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(**options("/v1/logs"))))
logs.get_logger("client").emit(LogRecord(
    timestamp=span.end_time, trace_id=context.trace_id, span_id=context.span_id,
    trace_flags=context.trace_flags, severity_number=SeverityNumber.WARN, severity_text="WARN",
    body="it is late", resource=RESOURCE, attributes={"n": 1}))
for provider in (meters, tracers, logs):
    provider.shutdown()
