#include "detectors/codec.h"

#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

#include "core/rng.h"

namespace {

using vigie::ErrorKind;
using vigie::detectors::Decoder;
using vigie::detectors::Encoder;

std::string sample() {
    Encoder out;
    out.u64(std::numeric_limits<std::uint64_t>::max());
    out.i64(std::numeric_limits<std::int64_t>::min());
    out.i64(-1);
    out.f64(-0.0);
    out.f64(std::numeric_limits<double>::infinity());
    out.flag(true);
    out.text(std::string("a\0b", 3));
    out.time(vigie::event_time_from_micros(-5));
    return std::move(out).seal('7');
}

}  // namespace

TEST_CASE("codec: what is written is read back exactly", "[detectors]") {
    const std::string bytes = sample();
    auto in = Decoder::open(bytes, '7', "test");
    REQUIRE(in);
    CHECK(in->u64() == std::numeric_limits<std::uint64_t>::max());
    CHECK(in->i64() == std::numeric_limits<std::int64_t>::min());
    CHECK(in->i64() == -1);
    CHECK(std::signbit(in->f64()));
    CHECK(std::isinf(in->f64()));
    CHECK(in->flag());
    CHECK(in->text() == std::string("a\0b", 3));
    CHECK(micros_of(in->time()) == -5);
    CHECK(in->finish());
}

TEST_CASE("codec: another version is invalid, cut or damaged bytes are corrupt", "[detectors]") {
    const std::string bytes = sample();
    CHECK(Decoder::open(bytes, '8', "test").error().kind == ErrorKind::kInvalid);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        CHECK(Decoder::open(bytes.substr(0, size), '7', "test").error().kind ==
              ErrorKind::kCorrupt);
    }
    for (std::size_t i = 1; i < bytes.size(); ++i) {
        std::string damaged = bytes;
        damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
        CHECK(Decoder::open(damaged, '7', "test").error().kind == ErrorKind::kCorrupt);
    }
}

TEST_CASE("codec: reading past the end fails for good and gives zeros", "[detectors]") {
    Encoder out;
    out.u64(300);
    const std::string bytes = std::move(out).seal('1');
    auto in = Decoder::open(bytes, '1', "test");
    REQUIRE(in);
    CHECK(in->count(1) == 0);  // 300 things cannot follow.
    CHECK(in->failed());
    CHECK(in->u64() == 0);
    CHECK(in->text().empty());
    CHECK(in->finish().error().kind == ErrorKind::kCorrupt);
}

TEST_CASE("codec: bytes that are left over are corrupt", "[detectors]") {
    Encoder out;
    out.u64(1);
    out.u64(2);
    const std::string bytes = std::move(out).seal('1');
    auto in = Decoder::open(bytes, '1', "test");
    REQUIRE(in);
    CHECK(in->u64() == 1);
    CHECK(!in->finish());
}
