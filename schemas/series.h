#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/telemetry.h"

// Metrics as the decoders hand them on when series are known by number: no text is made for a
// series that was seen before.
namespace vigie::schemas {

// The number of a series in the index that it was decoded with; numbers are dense and start at 0.
using SeriesHandle = std::uint32_t;

// One value of one series. `series` means something only together with its index.
struct Sample {
    EventTime at;
    double value = 0;
    SeriesHandle series = 0;
    MetricKind kind = MetricKind::kUnknown;
    bool stale = false;  // As Point::stale

    bool operator==(const Sample&) const = default;
};

// Which series a sender means. Decoders ask by a hash (XXH3) of the bytes that name the series on
// the wire; only when that is not known they read the labels and add them. One series may have
// several such hashes, as senders order labels differently.
class SeriesIndex {
public:
    // The kind belongs to the hash: it is read together with the labels.
    struct Known {
        SeriesHandle series = 0;
        MetricKind kind = MetricKind::kUnknown;
    };

    SeriesIndex() = default;
    SeriesIndex(const SeriesIndex&) = delete;
    SeriesIndex& operator=(const SeriesIndex&) = delete;
    virtual ~SeriesIndex() = default;

    // nullopt: not seen, or forgotten; then add() follows.
    virtual std::optional<Known> find(std::uint64_t wire_hash) const = 0;
    // Takes up the series, or finds it under another hash. Never fails: an index that is full says
    // in its own way which series takes the values instead.
    virtual SeriesHandle add(std::uint64_t wire_hash, MetricKind kind, std::string_view metric,
                             const Labels& labels) = 0;
};

// What one body contained. To be used again for the next: clear() keeps the memory.
struct DecodedSamples {
    std::vector<Sample> samples;  // In the order of the body
    // Points that were wrong in themselves and left out, and what was wrong with the first.
    std::size_t refused = 0;
    std::string refused_why;
    // Of remote write, which says back how much of each was taken.
    struct Counts {
        std::size_t floats = 0;
        std::size_t histograms = 0;
        std::size_t exemplars = 0;
    };
    Counts counts;
    // Where a body is decompressed: only for decode_samples().
    std::string scratch;

    void clear() {
        samples.clear();
        refused = 0;
        refused_why.clear();
        counts = {};
    }
};

// A body of vigie.metrics, by its content type and coding as decode_metrics() does. A point that is
// wrong in itself (no name, too many labels, buckets that do not fit) is left out and counted; when
// nothing is left it is an error. kInvalid: the bytes are not what they should be. kRefused: they
// ask for more than a limit of the whole body. `out` then holds nothing of use.
Status decode_samples(std::string_view bytes, std::string_view content_type,
                      std::string_view content_encoding, const DecodeLimits& limits,
                      SeriesIndex& index, DecodedSamples& out);

}  // namespace vigie::schemas
