// Pages of metrics: the same however they are cut, within the limits, and what is taken is read
// back from remote write. The first byte is the format and the size of the pieces.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "core/result.h"
#include "core/utf8.h"
#include "schemas/exposition.h"
#include "schemas/write_request.h"

namespace {

using namespace vigie;
using namespace vigie::schemas;

struct Seen final : ExpositionVisitor {
    std::string text;
    WriteRequest request;
    std::size_t labels_max = 0;

    Status on_type(std::string_view family, ExposedType type) override {
        VIGIE_ASSERT(!family.empty());
        text += fmt::format("type {} {}\n", family, static_cast<int>(type));
        request.add_family(family, type);
        return {};
    }
    Status on_sample(const ExposedSample& sample) override {
        VIGIE_ASSERT(!sample.metric.empty());
        for (const auto& [name, value] : sample.labels) {
            VIGIE_ASSERT(!name.empty() && !value.empty() && is_utf8(value));
            VIGIE_ASSERT(value.size() <= labels_max);
        }
        const auto at = sample.at.value_or(EventTime{});
        text += fmt::format("{} {} {}\n", to_string(sample.metric, sample.labels), sample.value,
                            micros_of(at));
        request.add(encode_series(sample.metric, sample.labels), sample.value, at);
        return {};
    }
};

ExpositionLimits limits() {
    return {.line_bytes_max = 200,
            .samples_max = 50,
            .labels_max = 5,
            .label_name_bytes_max = 20,
            .label_value_bytes_max = 30};
}

Status read(std::string_view text, std::size_t at_once, Exposition format, Seen& seen) {
    seen.labels_max = limits().label_value_bytes_max;
    ExpositionParser parser(format, limits(), seen);
    while (!text.empty()) {
        const auto part = text.substr(0, at_once);
        text.remove_prefix(part.size());
        VIGIE_TRY(parser.feed(part));
    }
    return parser.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto format = data[0] % 2 == 0 ? Exposition::kText : Exposition::kOpenMetrics;
    Seen whole;
    Seen parts;
    const auto done = read(text, std::max<std::size_t>(text.size(), 1), format, whole);
    const auto again = read(text, 1 + data[0] / 2 % 7U, format, parts);
    VIGIE_ASSERT(done.has_value() == again.has_value());
    VIGIE_ASSERT(whole.text == parts.text);
    if (!done) VIGIE_ASSERT(done.error().message == again.error().message);
    const std::size_t samples = whole.request.samples();
    VIGIE_ASSERT(samples <= limits().samples_max);
    if (samples == 0) return 0;
    const auto back = decode_metrics(whole.request.take(), kContentRemoteWrite, "snappy", {});
    VIGIE_ASSERT(back.has_value());
    std::size_t points = 0;
    for (const auto& series : *back) points += series.points.size();
    VIGIE_ASSERT(points == samples);
    return 0;
}
