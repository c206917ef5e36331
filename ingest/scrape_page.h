#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/time.h"
#include "schemas/exposition.h"
#include "schemas/telemetry.h"

namespace vigie::ingest {

// The files that a path with "*" in its last part names, in order of their names.
std::vector<std::string> files_of(const std::string& pattern);

// What a program showed, as series.
class ScrapedPage final : public schemas::ExpositionVisitor {
public:
    struct Family {
        std::string name;
        schemas::ExposedType type;
    };
    struct Sample {
        std::string series;  // As encode_series()
        double value = 0;
        EventTime at;
        bool own_time = false;
    };

    // `labels` are the target's, with job and instance; they must outlive it.
    ScrapedPage(const schemas::Labels& labels, bool honor_labels, bool honor_timestamps,
                EventTime at)
        : labels_(labels),
          honor_labels_(honor_labels),
          honor_timestamps_(honor_timestamps),
          at_(at) {}

    Status on_type(std::string_view family, schemas::ExposedType type) override;
    Status on_sample(const schemas::ExposedSample& sample) override;

    const std::vector<Family>& families() const { return families_; }
    const std::vector<Sample>& samples() const { return samples_; }

private:
    const schemas::Labels& labels_;
    const bool honor_labels_;
    const bool honor_timestamps_;
    const EventTime at_;
    std::vector<Family> families_;
    std::vector<Sample> samples_;
};

// The labels of a sample beside those of its target: where both have a name, honor_labels keeps the
// sample's, else that one becomes exported_NAME.
schemas::Labels join_labels(schemas::Labels own, const schemas::Labels& target, bool honor_labels);

}  // namespace vigie::ingest
