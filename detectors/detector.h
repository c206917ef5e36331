#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/time.h"
#include "schemas/events.h"
#include "schemas/series.h"
#include "schemas/series_table.h"
#include "schemas/telemetry.h"

namespace vigie::detectors {

// What a detector found in one call, in the order it found it. An anomaly fires once and ends once,
// saying how; one that ended silent is told again, as calm or as firing, once it can be judged.
struct Findings {
    std::vector<schemas::Anomaly> anomalies;
    std::vector<schemas::Change> topology;  // ChangeKind::kTopology: edges learned, each once.
};

// What a detector holds, and what it could not judge since it was made: not part of its state.
struct Counts {
    std::size_t tracked = 0;                       // Series, services or templates in memory.
    std::map<std::string, std::uint64_t> dropped;  // Items by reason: "late", "not_finite", …
    std::map<std::string, std::uint64_t>
        events;                                // What it did inside: "promoted", "held_budget", …
    std::map<std::string, std::size_t> sizes;  // What else it holds: "deep_series", "deep_bytes".
};

// Samples in log order, of series by their number in a table that says what they are. A number
// means the same series in every call, until it is forgotten.
struct SampleBatch {
    std::span<const schemas::Sample> samples;
    const schemas::SeriesTable& series;
};
// One of them as a series of one point.
schemas::TimeSeries text_of(const schemas::Sample& sample, const schemas::SeriesTable& table);

// A family of detectors over one kind of telemetry, for one partition. Pure: no clock, no I/O,
// no randomness, no threads. The runtime calls it in log order and never concurrently; items
// may be out of order, duplicated or from the far past, and none of that crashes it or grows
// it without bound.
class Detector {
public:
    Detector() = default;
    Detector(const Detector&) = delete;
    Detector& operator=(const Detector&) = delete;
    virtual ~Detector() = default;

    // Each detector takes the kind it is for and ignores the others.
    virtual void observe(std::span<const schemas::TimeSeries> series, Findings& out);
    virtual void observe(std::span<const schemas::LogRecord> records, Findings& out);
    virtual void observe(std::span<const schemas::Span> spans, Findings& out);

    // The same samples as TimeSeries would say, for who has many: a detector remembers by number
    // what it would look up by text. This one makes the text and calls the other.
    virtual void observe(const SampleBatch& batch, Findings& out);
    // These numbers may mean other series from now on. What a detector knows of a series stays.
    virtual void forget(std::span<const schemas::SeriesHandle> series);

    // Something beside telemetry that judgement depends on, in its place in the log: a deployment
    // (Change), or a verdict on an alarm (Decision of kVerdict whose scope is Anomaly::key). What a
    // family has no use for it ignores.
    virtual void learn(const schemas::Event& event);

    // Stream time reached `now`: the place to close windows, to notice silence and to say that
    // an anomaly is over.
    virtual void advance(EventTime now, Findings& out) = 0;

    // Everything needed to continue after a restart, byte for byte: load(save()) changes no
    // later output. The first byte is a format version; load() returns kInvalid for a version
    // it does not know and kCorrupt for bytes that are cut or damaged.
    virtual std::string save() const = 0;
    virtual Status load(std::string_view saved) = 0;

    virtual Counts counts() const;
};

}  // namespace vigie::detectors
