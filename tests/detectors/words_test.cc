#include "detectors/words.h"

#include <catch2/catch.hpp>

namespace {

using namespace std::chrono_literals;
using namespace vigie::detectors;
using vigie::schemas::Symptom;

}  // namespace

TEST_CASE("words: numbers are written with the unit an engineer would choose", "[detectors]") {
    CHECK(with_unit(0.82, "s") == "820 ms");
    CHECK(with_unit(1.5, "s") == "1.5 s");
    CHECK(with_unit(0.00002, "s") == "20 µs");
    CHECK(with_unit(0, "s") == "0 s");
    CHECK(with_unit(0.31, "ratio") == "31 %");
    CHECK(with_unit(1.5 * 1024 * 1024 * 1024, "B") == "1.5 GiB");
    CHECK(with_unit(2048, "B/s") == "2 KiB/s");
    CHECK(with_unit(12.34, "1/s") == "12.3 /s");
    CHECK(with_unit(1234, "1") == "1234");
    CHECK(range_with_unit(0.04, 0.06, "s") == "40–60 ms");
    CHECK(range_with_unit(0.5, 0.5, "ratio") == "50 %");
    CHECK(span_text(10s) == "10 s");
    CHECK(span_text(300s) == "5 min");
    CHECK(span_text(24h) == "24 h");
}

TEST_CASE("words: text is cut between characters", "[detectors]") {
    CHECK(cut("short", 10) == "short");
    CHECK(cut("abcdef", 3) == "abc…");
    CHECK(cut("aé", 2) == "a…");  // é has two bytes.
}

TEST_CASE("words: a metric's name and status say what kind of symptom it shows", "[detectors]") {
    CHECK(symptom_of("http_request_duration_seconds_sum", {}) == Symptom::kLatency);
    CHECK(symptom_of("http_request_duration_seconds_count", {}) == Symptom::kTraffic);
    CHECK(symptom_of("rpc_seconds", {{"quantile", "0.99"}}) == Symptom::kLatency);
    CHECK(symptom_of("http_requests_total", {{"code", "503"}}) == Symptom::kErrors);
    CHECK(symptom_of("http_requests_total", {{"code", "200"}}) == Symptom::kTraffic);
    CHECK(symptom_of("payment_failures_total", {}) == Symptom::kErrors);
    CHECK(symptom_of("node_cpu_seconds_total", {}) == Symptom::kSaturation);
    CHECK(symptom_of("node_filesystem_avail_bytes", {}) == Symptom::kSaturation);
    CHECK(symptom_of("node_network_receive_bytes_total", {}) == Symptom::kTraffic);
    CHECK(symptom_of("http_requests_in_flight", {}) == Symptom::kOther);
    CHECK(symptom_of("sun_spots", {}) == Symptom::kOther);
}

TEST_CASE("words: units follow the suffix and the rate", "[detectors]") {
    CHECK(unit_of("process_cpu_seconds_total", true) == "s/s");
    CHECK(unit_of("latency_seconds", false) == "s");
    CHECK(unit_of("http_request_duration_seconds_count", true) == "1/s");
    CHECK(unit_of("node_memory_free_bytes", false) == "B");
    CHECK(unit_of("node_network_receive_bytes_total", true) == "B/s");
    CHECK(unit_of("cache_hit_ratio", false) == "ratio");
    CHECK(unit_of("queue_length", false) == "1");
}
