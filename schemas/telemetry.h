#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/id.h"
#include "core/result.h"
#include "core/time.h"
#include "schemas/compression.h"

// What telemetry means once its protocol is taken off: the only shapes that detectors see.
namespace vigie::schemas {

// Sorted by name, names unique.
using Labels = std::vector<std::pair<std::string, std::string>>;

// "" when there is no such label.
std::string_view label(const Labels& labels, std::string_view name);

// "name{a=\"1\",b=\"2\"}": the identity of a series, for ids and for people.
std::string to_string(std::string_view metric, const Labels& labels);

enum class MetricKind : std::uint8_t { kUnknown, kGauge, kCounter };  // kCounter: cumulative sum

struct Point {
    EventTime at;
    double value = 0;
    bool stale = false;  // Prometheus staleness marker: the series ended; `value` means nothing.

    bool operator==(const Point&) const = default;
};

// Points of one series in the order in which they were received.
struct TimeSeries {
    std::string metric;
    Labels labels;  // Resource attributes included, without __name__.
    MetricKind kind = MetricKind::kUnknown;
    std::vector<Point> points;

    bool operator==(const TimeSeries&) const = default;
};

struct LogRecord {
    EventTime at;
    std::uint8_t severity = 0;  // OpenTelemetry severity number, 1..24; 0 when not given.
    std::string body;
    std::string trace_id;  // Lower-case hex, or empty.
    Labels attributes;     // Resource attributes included.

    bool operator==(const LogRecord&) const = default;
};

enum class SpanKind : std::uint8_t {
    kUnspecified,
    kInternal,
    kServer,
    kClient,
    kProducer,
    kConsumer
};

struct Span {
    std::string trace_id;   // Lower-case hex.
    std::string span_id;    // Lower-case hex.
    std::string parent_id;  // Lower-case hex, empty for a root.
    std::string name;
    SpanKind kind = SpanKind::kUnspecified;
    EventTime start;
    EventTime end;
    bool error = false;  // Status code ERROR.
    Labels attributes;
    Labels resource;

    bool operator==(const Span&) const = default;
};

// Limits of every decoder: bytes that ask for more are refused with kInvalid.
struct DecodeLimits {
    std::size_t items_max = 1'000'000;        // Points, log records or spans of one body
    std::size_t labels_max = 256;             // Of one series, record or span
    std::size_t label_bytes_max = 64 * 1024;  // Of a name, a label value, a log body; longer is cut
    std::size_t bytes_max = 64 * 1024 * 1024;  // After decompression
    // What the values may take in memory, about: labels of a resource are repeated for each item,
    // so a small body can ask for much.
    std::size_t memory_bytes_max = 512 * 1024 * 1024;
};

// Each decoder returns kInvalid with the place of the fault for bytes that are not what they
// should be, and kRefused when they ask for more than a limit of the whole body. A point that is
// wrong in itself is left out, and is an error when it is the only one. None throws, none reads
// outside its input. Text is cut between characters, and what is not UTF-8 in it becomes U+FFFD. Of
// two labels with one name the later wins, and those of an item win over those of its resource.

// Prometheus remote write 1.0: the protobuf message prometheus.WriteRequest, already without
// its snappy block (use unsnappy). https://prometheus.io/docs/concepts/remote_write_spec/
// The kind comes from metadata in the same body, else names that end in _total, _bucket, _count
// or _sum are counters. Empty labels are as if absent. Native histograms become series as
// exponential ones of OTLP do; exemplars are counted only.
Result<std::vector<TimeSeries>> decode_remote_write(std::string_view bytes,
                                                    const DecodeLimits& limits);

// OTLP 1.x ExportMetricsServiceRequest, ExportLogsServiceRequest, ExportTraceServiceRequest
// (opentelemetry-proto), as protobuf and as OTLP JSON. Histograms and summaries become the
// series NAME_count, NAME_sum and NAME_bucket{le=}, cumulative over le (or NAME{quantile=}), as in
// Prometheus; exponential ones in buckets of at most 19% width. Delta sums become gauges of the
// delta. A series may be in the result more than once. Attributes that are lists or maps become
// JSON text. A log record without any time has the epoch.
enum class OtlpEncoding : std::uint8_t { kProtobuf, kJson };
Result<std::vector<TimeSeries>> decode_otlp_metrics(std::string_view bytes, OtlpEncoding encoding,
                                                    const DecodeLimits& limits);
Result<std::vector<LogRecord>> decode_otlp_logs(std::string_view bytes, OtlpEncoding encoding,
                                                const DecodeLimits& limits);
Result<std::vector<Span>> decode_otlp_traces(std::string_view bytes, OtlpEncoding encoding,
                                             const DecodeLimits& limits);

// Content types of the telemetry topics (header "content-type"), and the decoder that picks by
// them; values on the topics are as received, still compressed when "content-encoding" says so.
inline constexpr std::string_view kContentRemoteWrite =
    "application/x-protobuf;proto=prometheus.WriteRequest";
inline constexpr std::string_view kContentRemoteWrite2 =
    "application/x-protobuf;proto=io.prometheus.write.v2.Request";
inline constexpr std::string_view kContentOtlpProtobuf = "application/x-protobuf";
inline constexpr std::string_view kContentOtlpJson = "application/json";
Result<std::vector<TimeSeries>> decode_metrics(std::string_view bytes,
                                               std::string_view content_type,
                                               std::string_view content_encoding,
                                               const DecodeLimits& limits);
Result<std::vector<LogRecord>> decode_logs(std::string_view bytes, std::string_view content_type,
                                           std::string_view content_encoding,
                                           const DecodeLimits& limits);
Result<std::vector<Span>> decode_traces(std::string_view bytes, std::string_view content_type,
                                        std::string_view content_encoding,
                                        const DecodeLimits& limits);

// The entity that labels or resource attributes speak of. The first rule that matches wins; ""
// when none does:
//   vigie.entity                             as it says, "KIND:NAME"
//   service.name, service or service_name    service:NAME
//   k8s.namespace.name or namespace, with
//     k8s.deployment.name or deployment      deployment:NS/NAME
//     the same of statefulset, daemonset and cronjob
//     k8s.pod.name or pod                    pod:NS/NAME
//   proxmox.node or node, with vmid          vm:NODE/VMID
//   app.kubernetes.io/name, as it is written service:NAME
//   host.name                                host:NAME
//   k8s.node.name                            node:NAME
//   instance of a metric node_… or job node  host:NAME, without its port
//   job                                      service:JOB
//   instance                                 host:NAME, without its port
EntityId entity_of(const Labels& labels, std::string_view metric = {});

}  // namespace vigie::schemas
