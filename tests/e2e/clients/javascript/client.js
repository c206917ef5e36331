// Sends metrics, logs and spans with OpenTelemetry's SDK.
// usage: node client.js json|proto|grpc URL gzip|none
'use strict';
const {diag, DiagConsoleLogger, DiagLogLevel} = require('@opentelemetry/api');
const {SeverityNumber} = require('@opentelemetry/api-logs');
const {Resource} = require('@opentelemetry/resources');
const {LoggerProvider, SimpleLogRecordProcessor} = require('@opentelemetry/sdk-logs');
const {MeterProvider, PeriodicExportingMetricReader} =
    require('@opentelemetry/sdk-metrics');
const {BasicTracerProvider, SimpleSpanProcessor} = require('@opentelemetry/sdk-trace-base');

const [encoding, url, compression] = process.argv.slice(2);
const kind = encoding === 'json' ? 'http' : encoding;
const {OTLPMetricExporter} = require(`@opentelemetry/exporter-metrics-otlp-${kind}`);
const {OTLPTraceExporter} = require(`@opentelemetry/exporter-trace-otlp-${kind}`);
const {OTLPLogExporter} = require(`@opentelemetry/exporter-logs-otlp-${kind}`);

diag.setLogger(new DiagConsoleLogger(), DiagLogLevel.ERROR);
const to = (path) => {
    if (kind === 'grpc') {
        const {CompressionAlgorithm} = require('@opentelemetry/otlp-exporter-base');
        return {url, compression: compression === 'gzip' ? CompressionAlgorithm.GZIP
                                                         : CompressionAlgorithm.NONE};
    }
    return {url: url + path, compression};
};

async function main() {
    const resource = new Resource({'service.name': `javascript-${encoding}-${compression}`});

    const reader = new PeriodicExportingMetricReader(
        {exporter: new OTLPMetricExporter(to('/v1/metrics')), exportIntervalMillis: 3600000});
    const meters = new MeterProvider({resource, readers: [reader]});
    const meter = meters.getMeter('client');
    meter.createCounter('requests').add(3, {route: '/cart'});
    meter.createUpDownCounter('queue').add(-2);
    meter.createObservableGauge('heat').addCallback((seen) => seen.observe(21.5, {room: 'é'}));
    meter.createHistogram('latency').record(0.25, {route: '/cart'});

    const tracers = new BasicTracerProvider({
        resource, spanProcessors: [new SimpleSpanProcessor(new OTLPTraceExporter(to('/v1/traces')))]});
    const span = tracers.getTracer('client').startSpan('work', {attributes: {peers: ['a', 'b']}});
    span.end();

    const logs = new LoggerProvider({resource});
    logs.addLogRecordProcessor(new SimpleLogRecordProcessor(new OTLPLogExporter(to('/v1/logs'))));
    logs.getLogger('client').emit({severityNumber: SeverityNumber.WARN, severityText: 'WARN',
                                   body: 'it is late', attributes: {n: 1, nested: {a: [1, 2.5]}}});

    await meters.forceFlush();
    await tracers.forceFlush();
    await logs.forceFlush();
    for (const provider of [meters, tracers, logs]) await provider.shutdown();
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
