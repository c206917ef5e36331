#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/series.h"

namespace vigie::schemas {

// The series of one partition by number: the dictionary between decoders and detectors. Names and
// values of labels are kept once each, so that a series costs less than 250 bytes. Deterministic;
// for one thread.
//
// It is bounded: when `series_max` or `text_bytes_max` is reached, values of a new series go to the
// overflow series of its metric, METRIC{otel_metric_overflow="true"}, which is marked as such;
// `widest_label()` tells whose fault it most likely is.
class SeriesTable final : public SeriesIndex {
public:
    struct Options {
        std::size_t series_max = 1'000'000;
        std::size_t text_bytes_max = std::size_t{512} << 20;  // Of distinct names and values
        std::size_t overflow_series_max = 1'000;              // Beyond, one for all metrics
    };
    explicit SeriesTable(Options options);
    ~SeriesTable() override;

    std::optional<Known> find(std::uint64_t wire_hash) const override;
    SeriesHandle add(std::uint64_t wire_hash, MetricKind kind, std::string_view metric,
                     const Labels& labels) override;

    // What a series is. The views live until the next add() or forget().
    std::string_view metric(SeriesHandle series) const;
    Labels labels(SeriesHandle series) const;
    // "" when it has no such label.
    std::string_view label(SeriesHandle series, std::string_view name) const;
    bool is_overflow(SeriesHandle series) const;
    bool contains(SeriesHandle series) const;  // False for a number that is free.

    // Makes room. The numbers are given to new series later; whoever keeps state by number must
    // let go of it before.
    void forget(std::span<const SeriesHandle> series);

    std::size_t size() const;          // Series now, overflow included
    SeriesHandle end() const;          // All numbers in use are below.
    std::uint64_t overflowed() const;  // Series refused a number of their own, ever
    std::size_t memory_bytes() const;  // About
    std::string widest_label() const;  // The name with most distinct values; "" when empty

private:
    struct Store;
    const std::unique_ptr<Store> store_;
};

inline constexpr std::string_view kOverflowLabel = "otel_metric_overflow";

}  // namespace vigie::schemas
