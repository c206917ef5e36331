#include "tests/schemas/wire.h"

#include <fstream>
#include <sstream>

#include <snappy.h>
#include <zlib.h>
#include <zstd.h>
#include <catch2/catch.hpp>
#include <protozero/pbf_writer.hpp>

namespace vigie::schemas::wire {

std::string read_payload(std::string_view name) {
    std::ifstream file(std::string(VIGIE_SOURCE_DIR "/tests/schemas/payloads/") + std::string(name),
                       std::ios::binary);
    REQUIRE(file.good());
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::string message(std::uint32_t number, std::string_view bytes) {
    std::string out;
    protozero::pbf_writer(out).add_bytes(number, bytes.data(), bytes.size());
    return out;
}

std::string varint(std::uint32_t number, std::uint64_t value) {
    std::string out;
    protozero::pbf_writer(out).add_uint64(number, value);
    return out;
}

std::string zigzag(std::uint32_t number, std::int32_t value) {
    std::string out;
    protozero::pbf_writer(out).add_sint32(number, value);
    return out;
}

std::string fixed64(std::uint32_t number, std::uint64_t value) {
    std::string out;
    protozero::pbf_writer(out).add_fixed64(number, value);
    return out;
}

std::string real(std::uint32_t number, double value) {
    std::string out;
    protozero::pbf_writer(out).add_double(number, value);
    return out;
}

std::string snappy(std::string_view bytes) {
    std::string out;
    ::snappy::Compress(bytes.data(), bytes.size(), &out);
    return out;
}

std::string gzip(std::string_view bytes) {
    z_stream stream{};
    REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    std::string out(deflateBound(&stream, bytes.size()), '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(bytes.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

std::string zstd(std::string_view bytes) {
    std::string out(ZSTD_compressBound(bytes.size()), '\0');
    const std::size_t size =
        ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), ZSTD_CLEVEL_DEFAULT);
    REQUIRE(ZSTD_isError(size) == 0);
    out.resize(size);
    return out;
}

std::string label(std::string_view name, std::string_view value) {
    return message(1, message(1, name) + message(2, value));
}

std::string sample(double value, std::int64_t millis) {
    return message(2, real(1, value) + varint(2, static_cast<std::uint64_t>(millis)));
}

std::string series(std::string_view labels, std::string_view samples) {
    return message(1, std::string(labels) + std::string(samples));
}

std::string attribute(std::uint32_t number, std::string_view key, std::string_view value) {
    return message(number, message(1, key) + message(2, message(1, value)));
}

std::string request(std::string_view resource_attributes, std::string_view items) {
    return message(1, message(1, resource_attributes) + message(2, items));
}

const TimeSeries* find_series(const std::vector<TimeSeries>& all, std::string_view metric,
                              std::string_view name, std::string_view value) {
    for (const auto& series : all) {
        if (series.metric == metric &&
            (name.empty() || schemas::label(series.labels, name) == value)) {
            return &series;
        }
    }
    return nullptr;
}

}  // namespace vigie::schemas::wire
