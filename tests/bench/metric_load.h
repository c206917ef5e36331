#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <snappy.h>

#include "core/rng.h"

// The metrics that benchmarks send: a fleet's targets with 500 series each, eight labels a series,
// a third counters and the others gauges that scatter. The same arguments give the same bytes.
namespace vigie::bench {

struct LoadOptions {
    std::size_t series = 100'000;
    std::size_t samples_a_request = 2'000;
    std::int64_t begin_millis = 0;
    std::int64_t step_millis = 60'000;
};

class MetricLoad {
public:
    static constexpr std::size_t kSeriesOfTarget = 500;

    explicit MetricLoad(LoadOptions options) : options_(options), rng_(7) {
        for (double& each : noise_) {
            each = std::sqrt(-2 * std::log(1 - rng_.uniform())) *
                   std::cos(6.283185307179586 * rng_.uniform());
        }
        labels_.reserve(options.series);
        for (std::size_t i = 0; i < options.series; ++i) labels_.push_back(label_fields(i));
    }

    std::size_t requests_of_round() const {
        return (options_.series + options_.samples_a_request - 1) / options_.samples_a_request;
    }
    std::size_t samples_of(std::size_t request) const {
        const std::size_t begin = request * options_.samples_a_request;
        return std::min(options_.samples_a_request, options_.series - begin);
    }
    std::int64_t millis_of(std::size_t round) const {
        return options_.begin_millis + static_cast<std::int64_t>(round) * options_.step_millis;
    }
    static bool counter(std::size_t series) { return series % kSeriesOfTarget % 3 == 0; }
    double value(std::size_t series, std::size_t round) const {
        const double scatter = noise_[(series * 31 + round * 977) % noise_.size()];
        const auto at = static_cast<double>(round);
        if (counter(series)) return std::floor(at * 50 + 3 * scatter + static_cast<double>(series));
        return std::round((100 + 10 * std::sin(at / 200) + 3 * scatter) * 1000) / 1000;
    }

    // prometheus.WriteRequest of one request of a round, not compressed; all its samples are of
    // `millis`.
    std::string write_request(std::size_t request, std::size_t round, std::int64_t millis) const {
        std::string out;
        const std::size_t begin = request * options_.samples_a_request;
        out.reserve(samples_of(request) * 320);
        for (std::size_t i = begin; i < begin + samples_of(request); ++i) {
            std::string sample("\x09");
            const auto bits = std::bit_cast<std::uint64_t>(value(i, round));
            for (unsigned shift = 0; shift < 64; shift += 8) {
                sample += static_cast<char>(bits >> shift & 0xffU);
            }
            sample += '\x10';
            put_varint(sample, static_cast<std::uint64_t>(millis));
            out += '\x0a';
            put_varint(out, labels_[i].size() + 2 + sample.size());
            out += labels_[i];
            put_field(out, 2, sample);
        }
        return out;
    }
    std::string snappy_request(std::size_t request, std::size_t round, std::int64_t millis) const {
        const std::string plain = write_request(request, round, millis);
        std::string packed;
        snappy::Compress(plain.data(), plain.size(), &packed);
        return packed;
    }

    // The order in which a round's requests go out: targets are scraped when their time comes.
    std::vector<std::size_t> order_of(std::size_t round) const {
        std::vector<std::size_t> order(requests_of_round());
        for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
        Rng rng(round + 1);
        for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(i)]);
        return order;
    }

    static std::array<std::pair<std::string, std::string>, 8> labels(std::size_t series) {
        const std::size_t target = series / kSeriesOfTarget;
        const std::size_t which = series % kSeriesOfTarget;
        return {{{"__name__", fmt::format("app_{}_{}", kFamilies[which % kFamilies.size()],
                                          counter(series) ? "total" : "value")},
                 {"cluster", "production-eu-1"},
                 {"instance", fmt::format("10.{}.{}.7:9100", target / 200, target % 200)},
                 {"job", "shop"},
                 {"namespace", "default"},
                 {"node", fmt::format("worker-{:03}", target % 97)},
                 {"path", fmt::format("/api/v1/items/{}", which)},
                 {"pod", fmt::format("shop-7d9f8b6c5d-{:05}", target)}}};
    }
    static void put_varint(std::string& out, std::uint64_t number) {
        for (; number >= 0x80; number >>= 7U) out += static_cast<char>((number & 0x7fU) | 0x80U);
        out += static_cast<char>(number);
    }
    static void put_field(std::string& out, unsigned number, std::string_view content) {
        out += static_cast<char>(number << 3U | 2U);
        put_varint(out, content.size());
        out += content;
    }

private:
    static constexpr std::array<std::string_view, 8> kFamilies{
        "http_requests", "http_errors",  "queue_length", "cache_hits",
        "open_sockets",  "memory_bytes", "gc_pauses",    "db_rows"};

    static std::string label_fields(std::size_t series) {
        std::string out;
        for (const auto& [name, text] : labels(series)) {
            std::string label;
            put_field(label, 1, name);
            put_field(label, 2, text);
            put_field(out, 1, label);
        }
        return out;
    }

    LoadOptions options_;
    Rng rng_;
    std::array<double, 4096> noise_{};
    std::vector<std::string> labels_;
};

}  // namespace vigie::bench
