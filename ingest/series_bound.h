#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/telemetry.h"

namespace vigie::ingest {

// How many different values were seen, to within about 5 % for many: a HyperLogLog of 2048
// registers (Flajolet, Fusy, Gandouet, Meunier: HyperLogLog, 2007), with linear counting for few.
class ValueCount {
public:
    void add(std::uint64_t hash);
    void add(const ValueCount& other);
    double estimate() const;

private:
    std::array<std::uint8_t, 2048> registers_{};
};

// Hashes in one flat table: 11 to 22 bytes for each, where a set of nodes takes 40.
class HashSet {
public:
    bool contains(std::uint64_t hash) const;
    void insert(std::uint64_t hash);  // Once only
    std::size_t size() const { return size_; }

private:
    std::size_t place_of(std::uint64_t hash) const;

    std::vector<std::uint64_t> slots_;  // 0 is empty; a power of two
    std::size_t size_ = 0;
};

// The series of one source: at most `series_max` in the last one to two windows. A series that did
// not come in that time makes room. For any thread.
class SeriesBound {
public:
    explicit SeriesBound(std::size_t series_max) : series_max_(series_max) {}

    // Whether a series may be taken; asked once for each series and window, and each time for one
    // that may not.
    bool admit(std::string_view metric, const schemas::Labels& labels);

    // Changes with each window: who remembers answers of admit() forgets them then.
    std::uint64_t window() const { return window_.load(std::memory_order_relaxed); }
    // The next window begins.
    void turn();

    struct State {
        std::size_t series = 0;
        std::uint64_t refused = 0;  // Answers "no", ever
    };
    State state() const;

    struct Widest {
        std::string label;  // With most values; "" when there is none
        std::uint64_t values = 0;
    };
    Widest widest() const;  // Takes some milliseconds.

private:
    static constexpr std::size_t kNamesMax = 256;

    const std::size_t series_max_;
    std::atomic<std::uint64_t> window_{0};
    mutable std::mutex mutex_;  // Protects everything below.
    HashSet now_;
    HashSet before_;
    std::size_t both_ = 0;  // Series in either
    std::uint64_t refused_ = 0;
    std::map<std::string, ValueCount, std::less<>> values_now_;
    std::map<std::string, ValueCount, std::less<>> values_before_;
};

}  // namespace vigie::ingest
