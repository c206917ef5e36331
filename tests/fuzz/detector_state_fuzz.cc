// Saved state of every detector: the first byte chooses the family, the rest is the content
// under a checksum that fits. Whatever loads must go on working and save again.
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "core/id.h"
#include "detectors/absence.h"
#include "detectors/logs/logs.h"
#include "detectors/metrics.h"
#include "detectors/rules/rules.h"
#include "detectors/traces/traces.h"

namespace {

using namespace vigie;
using namespace vigie::detectors;

std::unique_ptr<Detector> make(unsigned family) {
    switch (family % 5) {
        case 0: return *make_metrics_detector({});
        case 1: return *make_absence_detector({});
        case 2: return *make_trace_detector({});
        case 3: return *make_log_detector({});
        default: break;
    }
    Rule rule;
    rule.name = "r";
    rule.selection.metric = "m";
    return *make_rule_detector({.rules = {rule}});
}

std::string seal(std::string bytes) {
    const std::uint64_t sum = fnv1a64(bytes);
    for (unsigned shift = 0; shift < 64; shift += 8) {
        bytes.push_back(static_cast<char>((sum >> shift) & 0xffU));
    }
    return bytes;
}

void go_on(Detector& detector) {
    const schemas::Labels labels{{"service.name", "s"}};
    Findings out;
    for (int i = 0; i < 8; ++i) {
        const EventTime now = event_time_from_micros(1'700'000'000'000'000 + i * 10'000'000);
        detector.observe(std::vector<schemas::TimeSeries>{{"m", labels, {}, {{now, 1.0 * i}}}},
                         out);
        detector.observe(std::vector<schemas::LogRecord>{{now, 17, "error 1 of a", "", labels}},
                         out);
        schemas::Span span;
        span.trace_id = span.span_id = std::to_string(i);
        span.kind = schemas::SpanKind::kServer;
        span.start = span.end = now;
        span.resource = labels;
        detector.observe(std::vector<schemas::Span>{span}, out);
        detector.advance(now, out);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string content(reinterpret_cast<const char*>(data + 1), size - 1);
    const auto detector = make(data[0]);
    // Logs, traces and metrics have a newer one, and read the older.
    const bool newer = data[0] < 128;
    const bool fourth = data[0] % 5 == 3 || data[0] % 5 == 2;
    const std::string version = newer && fourth ? "4" : newer && data[0] % 5 == 0 ? "3" : "2";
    if (!detector->load(seal(version + content))) return 0;
    const std::string saved = detector->save();
    if (!make(data[0])->load(saved)) __builtin_trap();
    go_on(*detector);
    if (!make(data[0])->load(detector->save())) __builtin_trap();
    return 0;
}
