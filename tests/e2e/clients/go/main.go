// Sends metrics, logs and spans with OpenTelemetry's SDK.
// usage: otelclient http|grpc HOST:PORT gzip|none
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

type exporters struct {
	metrics sdkmetric.Exporter
	traces  sdktrace.SpanExporter
	logs    sdklog.Exporter
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func overHTTP(ctx context.Context, address string, gzip bool) (out exporters) {
	metricOptions := []otlpmetrichttp.Option{otlpmetrichttp.WithEndpoint(address), otlpmetrichttp.WithInsecure()}
	traceOptions := []otlptracehttp.Option{otlptracehttp.WithEndpoint(address), otlptracehttp.WithInsecure()}
	logOptions := []otlploghttp.Option{otlploghttp.WithEndpoint(address), otlploghttp.WithInsecure()}
	if gzip {
		metricOptions = append(metricOptions, otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression))
		traceOptions = append(traceOptions, otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
		logOptions = append(logOptions, otlploghttp.WithCompression(otlploghttp.GzipCompression))
	}
	var err error
	out.metrics, err = otlpmetrichttp.New(ctx, metricOptions...)
	fail(err)
	out.traces, err = otlptracehttp.New(ctx, traceOptions...)
	fail(err)
	out.logs, err = otlploghttp.New(ctx, logOptions...)
	fail(err)
	return out
}

func overGRPC(ctx context.Context, address string, gzip bool) (out exporters) {
	metricOptions := []otlpmetricgrpc.Option{otlpmetricgrpc.WithEndpoint(address), otlpmetricgrpc.WithInsecure()}
	traceOptions := []otlptracegrpc.Option{otlptracegrpc.WithEndpoint(address), otlptracegrpc.WithInsecure()}
	logOptions := []otlploggrpc.Option{otlploggrpc.WithEndpoint(address), otlploggrpc.WithInsecure()}
	if gzip {
		metricOptions = append(metricOptions, otlpmetricgrpc.WithCompressor("gzip"))
		traceOptions = append(traceOptions, otlptracegrpc.WithCompressor("gzip"))
		logOptions = append(logOptions, otlploggrpc.WithCompressor("gzip"))
	}
	var err error
	out.metrics, err = otlpmetricgrpc.New(ctx, metricOptions...)
	fail(err)
	out.traces, err = otlptracegrpc.New(ctx, traceOptions...)
	fail(err)
	out.logs, err = otlploggrpc.New(ctx, logOptions...)
	fail(err)
	return out
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	protocol, address, compression := os.Args[1], os.Args[2], os.Args[3]
	connect := overHTTP
	if protocol == "grpc" {
		connect = overGRPC
	}
	to := connect(ctx, address, compression == "gzip")
	identity := resource.NewSchemaless(attribute.String("service.name", "go-"+protocol+"-"+compression))

	fine := sdkmetric.NewView(sdkmetric.Instrument{Name: "exact"}, sdkmetric.Stream{
		Aggregation: sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20}})
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithResource(identity), sdkmetric.WithView(fine),
		sdkmetric.WithReader(sdkmetric.NewPeriodicReader(to.metrics, sdkmetric.WithInterval(time.Hour))))
	meter := meters.Meter("client")
	counter, err := meter.Int64Counter("requests")
	fail(err)
	counter.Add(ctx, 3, metric.WithAttributes(attribute.String("route", "/cart")))
	for _, name := range []string{"latency", "exact"} {
		histogram, err := meter.Float64Histogram(name)
		fail(err)
		histogram.Record(ctx, 0.25)
	}
	gauge, err := meter.Float64Gauge("heat")
	fail(err)
	gauge.Record(ctx, 21.5, metric.WithAttributes(attribute.String("room", "é")))
	fail(meters.ForceFlush(ctx))

	tracers := sdktrace.NewTracerProvider(sdktrace.WithResource(identity), sdktrace.WithSyncer(to.traces))
	spanned, span := tracers.Tracer("client").Start(ctx, "work")
	span.SetAttributes(attribute.StringSlice("peers", []string{"a", "b"}))

	logs := sdklog.NewLoggerProvider(sdklog.WithResource(identity),
		sdklog.WithProcessor(sdklog.NewSimpleProcessor(to.logs)))
	var record log.Record
	record.SetTimestamp(time.Now())
	record.SetSeverity(log.SeverityWarn)
	record.SetBody(log.StringValue("it is late"))
	record.AddAttributes(log.Int("n", 1))
	logs.Logger("client").Emit(spanned, record)
	span.End()

	fail(tracers.ForceFlush(ctx))
	fail(logs.ForceFlush(ctx))
	fail(tracers.Shutdown(ctx))
	fail(logs.Shutdown(ctx))
	fail(meters.Shutdown(ctx))
}
