#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "schemas/budget.h"
#include "schemas/series.h"

// Where the decoders of metrics put what they read. Only for schemas/*.cc.
namespace vigie::schemas::detail {

struct SeriesName {
    std::string metric;
    Labels labels;
    MetricKind kind = MetricKind::kUnknown;
};

// Says what a series is called; asked only when it is not known.
class Namer {
public:
    Namer() = default;
    Namer(const Namer&) = delete;
    Namer& operator=(const Namer&) = delete;
    virtual ~Namer() = default;
    virtual Result<SeriesName> name() const = 0;
};

class SampleSink {
public:
    SampleSink(Budget& budget, SeriesIndex& index, DecodedSamples& out)
        : budget_(budget), index_(index), out_(out) {}

    // A point of the series with this hash. kRefused for a limit of the body, else what is wrong
    // with the name.
    Status add(std::uint64_t wire_hash, EventTime at, double value, bool stale,
               const Namer& namer) {
        const auto known = index_.find(wire_hash);
        if (!known || !budget_.take(sizeof(Sample))) {
            return add_new(wire_hash, at, value, stale, namer);
        }
        out_.samples.push_back({at, stale ? 0 : value, known->series, known->kind, stale});
        return {};
    }

    // Points that are one item and written in several calls: all of them, or none.
    struct Mark {
        std::size_t samples = 0;
        DecodedSamples::Counts counts;
    };
    Mark mark() const { return {out_.samples.size(), out_.counts}; }
    void back_to(const Mark& mark) {
        out_.samples.resize(mark.samples);
        out_.counts = mark.counts;
    }

    // An item was wrong in itself: `status` is what add() or a reader returned. Passed on when it
    // is about the body.
    Status refuse(Status status, std::size_t items = 1);

    DecodedSamples::Counts& counts() { return out_.counts; }

private:
    Status add_new(std::uint64_t wire_hash, EventTime at, double value, bool stale,
                   const Namer& namer);

    Budget& budget_;
    SeriesIndex& index_;
    DecodedSamples& out_;
};

}  // namespace vigie::schemas::detail
