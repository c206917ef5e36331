#include "schemas/write_request.h"

#include <algorithm>
#include <bit>
#include <utility>

#include <snappy.h>
#include <protozero/pbf_reader.hpp>
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

namespace {

// Where a label belongs: behind those that a series begins with, as decoders read that fastest; at
// the end when others stand among the samples, so that it is the last in any case.
std::size_t label_place(std::string_view series) {
    protozero::pbf_reader fields(series.data(), series.size());
    std::size_t place = 0;
    bool only_labels = true;
    while (fields.next()) {
        const bool label = fields.tag() == 1;
        fields.skip();
        if (label && !only_labels) return series.size();
        only_labels = label;
        if (label) place = series.size() - fields.length();
    }
    return place;
}

}  // namespace

Result<std::string> add_label(std::string_view write_request, std::string_view name,
                              std::string_view value) {
    std::string label;
    {
        pbf_writer out(label);
        pbf_writer pair(out, 1);
        pair.add_string(1, name.data(), name.size());
        pair.add_string(2, value.data(), value.size());
    }
    std::string out;
    out.reserve(write_request.size() + write_request.size() / 4);
    pbf_writer request(out);
    try {
        protozero::pbf_reader fields(write_request.data(), write_request.size());
        while (fields.next()) {
            if (fields.wire_type() != protozero::pbf_wire_type::length_delimited) {
                fields.skip();  // There is none that we know.
                continue;
            }
            const auto tag = fields.tag();
            const auto view = fields.get_view();
            const std::string_view series(view.data(), view.size());
            if (tag != 1) {
                request.add_message(tag, series.data(), series.size());
                continue;
            }
            const std::size_t place = label_place(series);
            request.add_bytes_vectored(1, series.substr(0, place), label, series.substr(place));
        }
    } catch (const protozero::exception& error) {
        return fail(ErrorKind::kInvalid, error.what());
    }
    return out;
}

std::string snap(std::string_view bytes) {
    std::string out;
    snappy::Compress(bytes.data(), bytes.size(), &out);
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
    return snap(body);
}

}  // namespace vigie::schemas
