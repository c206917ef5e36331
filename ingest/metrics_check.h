#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/time.h"
#include "ingest/series_bound.h"
#include "schemas/series.h"

namespace vigie::ingest {

// What is worth knowing of a body before it goes to the log.
struct Content {
    std::size_t items = 0;
    EventTime newest{EventClock::duration::min()};
    std::string entity;       // "" when the items belong to several, or to none.
    std::size_t refused = 0;  // Items that were wrong in themselves; readers leave them out too.
    std::string refused_why;
    schemas::DecodedSamples::Counts counts;
    bool over_bound = false;  // Some series are more than their source may have.
};

// Reads bodies of metrics only to see whether they can be read, and whose they are. It remembers
// series by their bytes, so that the labels of one that was seen are not read again: at most 32 MiB
// for each thread that checks at the same time. For any thread.
class MetricsCheck {
public:
    MetricsCheck();
    ~MetricsCheck();
    MetricsCheck(const MetricsCheck&) = delete;
    MetricsCheck& operator=(const MetricsCheck&) = delete;

    // Errors as decode_samples(). New series ask `bound` whether they may be taken.
    Result<Content> check(std::string_view bytes, std::string_view content_type,
                          std::string_view content_encoding, const schemas::DecodeLimits& limits,
                          SeriesBound& bound);

private:
    class Reader;

    std::mutex mutex_;
    std::vector<std::unique_ptr<Reader>> idle_;  // Protected by mutex_
};

}  // namespace vigie::ingest
