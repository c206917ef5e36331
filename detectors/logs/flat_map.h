#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace vigie::detectors {

// From hashes, which are taken as random, to numbers: open addressing, linear probing, at most
// seven eighths full, twice as large when it must grow. 12 bytes a place.
class FlatMap {
public:
    static constexpr std::uint32_t kNone = 0xffffffff;

    std::uint32_t find(std::uint64_t key) const;  // kNone when it is not there.
    // Not kNone; replaces what was there.
    void set(std::uint64_t key, std::uint32_t value);
    void erase(std::uint64_t key);
    void clear();
    std::size_t size() const { return size_; }

private:
    std::size_t place_of(std::uint64_t key) const;
    void grow();

    std::vector<std::uint64_t> keys_;
    std::vector<std::uint32_t> values_;  // kNone: the place is free.
    std::size_t size_ = 0;
};

}  // namespace vigie::detectors
