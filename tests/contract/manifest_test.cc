// What a power cut leaves of RocksDB's MANIFEST, byte by byte.
#include <filesystem>
#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>

#include "core/crc32c.h"
#include "streams/rocks/manifest.h"
#include "streams/rocks/metrics.h"
#include "tests/contract/harness.h"
#include "tests/contract/polling.h"

namespace vigie::streams::rocks {

namespace {

std::string manifest_of(const RocksHarness& harness) {
    std::ifstream current(harness.options().path + "/CURRENT");
    std::string name;
    std::getline(current, name);
    return harness.options().path + "/" + name;
}

void append(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::app) << bytes;
}

std::string read_all(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

// A record of the log format, whole.
std::string record(const std::string& payload) {
    const std::string checked = std::string(1, 1) + payload;
    const std::uint32_t crc = crc32c(checked);
    const std::uint32_t masked = (crc >> 15U | crc << 17U) + 0xa282ead8U;
    std::string bytes;
    for (const std::uint32_t shift : {0U, 8U, 16U, 24U}) {
        bytes += static_cast<char>(masked >> shift & 0xffU);
    }
    bytes += static_cast<char>(payload.size() & 0xffU);
    bytes += static_cast<char>(payload.size() >> 8U);
    return bytes + checked;
}

}  // namespace

TEST_CASE("rocks: a MANIFEST cut anywhere in its last record opens, zeros behind it or not",
          "[contract]") {
    RocksHarness harness;
    REQUIRE(make_topics(harness.bus()).has_value());
    REQUIRE(append_and_wait(harness.bus(), {msg("", "1")}).has_value());
    harness.close();
    const std::string path = harness.options().path;
    const TempFolder whole;
    std::filesystem::copy(path, whole.path() + "/log", std::filesystem::copy_options::recursive);
    // Of a new file; the payload is not read before it is whole.
    std::uint64_t mended = 0;
    const std::string last = record(std::string(40, 'x'));
    for (std::size_t kept = 0; kept < last.size(); ++kept) {
        for (const bool zeros : {false, true}) {
            INFO(kept << " bytes, " << (zeros ? "zeros" : "nothing") << " behind");
            std::filesystem::remove_all(path);
            std::filesystem::copy(whole.path() + "/log", path,
                                  std::filesystem::copy_options::recursive);
            append(manifest_of(harness), last.substr(0, kept));
            if (zeros) append(manifest_of(harness), std::string(last.size() - kept, '\0'));
            harness.reopen();
            CHECK(records_on(harness.bus(), "in").size() == 1);
            mended = harness.metrics.counter(metrics::kMended).value();
            harness.close();
        }
    }
    CHECK(mended > 20);  // RocksDB takes some for the end by itself.
}

TEST_CASE("rocks: a MANIFEST damaged before its end is refused, and left as it is", "[contract]") {
    RocksHarness harness;
    REQUIRE(make_topics(harness.bus()).has_value());
    harness.close();
    const std::string manifest = manifest_of(harness);
    std::string damaged = record(std::string(40, 'x'));
    damaged[20] ^= 1;
    append(manifest, damaged);
    SECTION("in its last record") {}
    SECTION("with a whole record behind") {
        append(manifest, record("more"));
    }
    SECTION("with zeros behind") {
        append(manifest, std::string(100, '\0'));
    }
    const std::string before = read_all(manifest);
    CHECK_FALSE(*cut_torn_manifest(harness.options().path));
    MetricsRegistry metrics;
    const auto opened = RocksBus::open(harness.options(), harness.clock, metrics);
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().kind == ErrorKind::kCorrupt);
    CHECK(read_all(manifest) == before);
}

}  // namespace vigie::streams::rocks
