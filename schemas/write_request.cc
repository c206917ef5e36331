#include "schemas/write_request.h"

#include <algorithm>
#include <bit>
#include <utility>

#include <snappy.h>
#include <protozero/pbf_writer.hpp>

#include "schemas/prometheus.h"

// prometheus/prompb/remote.proto, types.proto
namespace vigie::schemas {

using protozero::pbf_writer;

std::string encode_series(std::string_view metric, Labels labels) {
    labels.emplace_back("__name__", metric);
    std::ranges::sort(labels);
    std::string out;
    pbf_writer series(out);
    for (const auto& [name, value] : labels) {
        pbf_writer label(series, 1);
        label.add_string(1, name);
        label.add_string(2, value);
    }
    return out;
}

void WriteRequest::add_family(std::string_view family, ExposedType type) {
    pbf_writer request(body_);
    pbf_writer metadata(request, 3);
    metadata.add_enum(1, static_cast<std::int32_t>(type));
    metadata.add_string(2, family.data(), family.size());
}

void WriteRequest::add(std::string_view series, double value, EventTime at) {
    ++samples_;
    std::string sample;
    pbf_writer fields(sample);
    fields.add_double(1, value);
    fields.add_int64(2, micros_of(at) / 1000);
    std::string whole(series);
    pbf_writer(whole).add_message(2, sample);
    pbf_writer(body_).add_message(1, whole);
}

void WriteRequest::add_stale(std::string_view series, EventTime at) {
    add(series, std::bit_cast<double>(detail::kStaleNan), at);
}

std::string WriteRequest::take() {
    const std::string body = std::exchange(body_, {});
    samples_ = 0;
    std::string out;
    snappy::Compress(body.data(), body.size(), &out);
    return out;
}

}  // namespace vigie::schemas
