#include "schemas/compression.h"

#include <catch2/catch.hpp>

#include "tests/schemas/wire.h"

namespace {

using vigie::ErrorKind;
using namespace vigie::schemas;

template <class Decompress>
void refuse_cut(Decompress decompress, const std::string& packed) {
    for (std::size_t size = 0; size < packed.size(); ++size) {
        const auto result = decompress(std::string_view(packed).substr(0, size), 1 << 20);
        if (result) FAIL("cut at " << size << " was accepted");
        CHECK(result.error().kind == ErrorKind::kInvalid);
    }
}

}  // namespace

TEST_CASE("compression: what was packed is unpacked", "[schemas]") {
    for (const std::string& text : {std::string(), std::string("a"), std::string(100'000, 'x'),
                                    wire::read_payload("otlp_http_json-0001.body")}) {
        CHECK(unsnappy(wire::snappy(text), text.size()) == text);
        CHECK(gunzip(wire::gzip(text), text.size()) == text);
    }
    CHECK(gunzip(wire::gzip("one,") + wire::gzip("") + wire::gzip("two"), 100) == "one,two");
}

TEST_CASE("compression: memory that held another text gives exactly the next one", "[schemas]") {
    std::string out;
    for (const std::size_t size : {100U, 150U, 40U, 5'000U, 5'001U, 0U, 9'000U}) {
        const std::string text(size, 'y');
        REQUIRE(unsnappy_into(wire::snappy(text), 10'000, out));
        CHECK(out == text);
    }
    CHECK(!unsnappy_into("\x05nonsense", 10'000, out));
}

TEST_CASE("compression: the bound is exact", "[schemas]") {
    const std::string text(10'000, 'x');
    CHECK(unsnappy(wire::snappy(text), 10'000));
    CHECK(gunzip(wire::gzip(text), 10'000));
    CHECK(unsnappy(wire::snappy(text), 9'999).error().message ==
          "snappy: more than 9999 bytes after decompression");
    CHECK(gunzip(wire::gzip(text), 9'999).error().message ==
          "gzip: more than 9999 bytes after decompression");
    CHECK(gunzip(wire::gzip(text) + wire::gzip("y"), 10'000).error().message ==
          "gzip: more than 10000 bytes after decompression");
    CHECK(unzstd(wire::zstd(text), 10'000) == text);
    CHECK(unzstd(wire::zstd(text), 9'999).error().message ==
          "zstd: more than 9999 bytes after decompression");
    CHECK(unzstd(wire::zstd("one,") + wire::zstd("two"), 7) == "one,two");
    CHECK(unzstd(wire::zstd(""), 0) == "");
    CHECK(gunzip(wire::gzip("x"), 0).error().message ==
          "gzip: more than 0 bytes after decompression");
    CHECK(gunzip(wire::gzip(""), 0) == "");
}

TEST_CASE("compression: a bomb is refused without its size being allocated", "[schemas]") {
    const std::string bomb = wire::gzip(std::string(50'000'000, '\0'));
    REQUIRE(bomb.size() < 100'000);
    CHECK(!gunzip(bomb, 1'000'000));
    const std::string denser = wire::zstd(std::string(50'000'000, '\0'));
    REQUIRE(denser.size() < 10'000);
    CHECK(unzstd(denser, 1'000'000).error().kind == ErrorKind::kRefused);
    // A frame whose window alone is 2 GiB: magic, no size, window descriptor, an empty last block.
    CHECK(!unzstd(std::string("\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00", 9), 1'000'000));
    // A block that announces 60 MB and has 10 bytes.
    const std::string announced =
        "\x80\x8e\xce\x1c"
        "\x01"
        "aaaaa";
    CHECK(unsnappy(announced, 64 << 20).error().message == "snappy: 10 bytes cannot hold 60000000");
}

TEST_CASE("compression: cut or damaged input is refused", "[schemas]") {
    const auto payload = wire::read_payload("remote_write-0001.body");
    const auto text = unsnappy(payload, 1 << 20);
    REQUIRE(text);
    refuse_cut(unsnappy, payload);
    refuse_cut(gunzip, wire::gzip(*text));
    refuse_cut(unzstd, wire::zstd(*text));
    CHECK(!unzstd("hello, world", 100));
    CHECK(!unzstd(wire::zstd("x") + "trailing", 100));
    CHECK(!unsnappy("", 100));
    CHECK(!unsnappy("\xff\xff\xff\xff\xff\xff", 100));
    CHECK(!gunzip("hello, world", 100));
    CHECK(!gunzip(wire::gzip("x") + "trailing", 100));
    std::string wrong_sum = wire::gzip("hello");
    wrong_sum[wrong_sum.size() - 6] = static_cast<char>(wrong_sum[wrong_sum.size() - 6] ^ 1);
    CHECK(gunzip(wrong_sum, 100).error().message == "gzip: the stream is damaged");
}
