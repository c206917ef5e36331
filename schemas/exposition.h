#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"
#include "schemas/telemetry.h"

// What a program shows of itself at /metrics.
namespace vigie::schemas {

// https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4) and
// https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md
enum class Exposition : std::uint8_t { kText, kOpenMetrics };

// By the Content-Type of an answer; text for whatever does not name OpenMetrics.
Exposition exposition_of(std::string_view content_type);

// As prometheus.MetricMetadata.MetricType numbers them.
enum class ExposedType : std::uint8_t {
    kUnknown,
    kCounter,
    kGauge,
    kHistogram,
    kGaugeHistogram,
    kSummary,
    kInfo,
    kStateSet
};

struct ExpositionLimits {
    std::size_t line_bytes_max = 64 * 1024;
    std::size_t samples_max = 100'000;  // And as many lines that are not samples
    std::size_t labels_max = 64;
    std::size_t label_name_bytes_max = 512;
    std::size_t label_value_bytes_max = 4096;
};

struct ExposedSample {
    std::string metric;
    Labels labels;  // Without empty values
    double value = 0;
    std::optional<EventTime> at;  // When the program gave a time
    bool has_exemplar = false;
};

// Told what stands in the text, in its order.
class ExpositionVisitor {
public:
    virtual ~ExpositionVisitor() = default;
    // The family's name as in "# TYPE".
    virtual Status on_type(std::string_view family, ExposedType type) = 0;
    virtual Status on_sample(const ExposedSample& sample) = 0;
};

// Reads a page piece by piece, however it is cut; holds at most one line. Errors are kInvalid and
// begin with the line ("line 12: …"); kRefused when a limit is reached; after one nothing more is
// read. Names may be quoted ({"my.metric", "a.b"="c"}). OpenMetrics must end with "# EOF".
// `visitor` must outlive the parser.
class ExpositionParser {
public:
    ExpositionParser(Exposition format, const ExpositionLimits& limits, ExpositionVisitor& visitor)
        : format_(format), limits_(limits), visitor_(visitor) {}

    Status feed(std::string_view bytes);
    Status finish();  // The last line may lack its line break in the text format.

private:
    Status read_line(std::string_view line);
    Status read_comment(std::string_view line);
    Status take_line(std::string_view line);
    Status read_sample(std::string_view line);

    const Exposition format_;
    const ExpositionLimits limits_;
    ExpositionVisitor& visitor_;
    std::string rest_;  // Of a line that is not complete
    std::size_t lines_ = 0;
    std::size_t samples_ = 0;
    bool ended_ = false;  // "# EOF" was read
    Status status_;
};

// The whole text at once.
Status parse_exposition(std::string_view text, Exposition format, const ExpositionLimits& limits,
                        ExpositionVisitor& visitor);

}  // namespace vigie::schemas
