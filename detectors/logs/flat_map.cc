#include "detectors/logs/flat_map.h"

namespace vigie::detectors {

namespace {

constexpr std::size_t kPlacesMin = 64;

}  // namespace

// Where the key is, or the free place where it would be.
std::size_t FlatMap::place_of(std::uint64_t key) const {
    const std::size_t mask = keys_.size() - 1;
    std::size_t at = static_cast<std::size_t>(key) & mask;
    while (values_[at] != kNone && keys_[at] != key) at = (at + 1) & mask;
    return at;
}

std::uint32_t FlatMap::find(std::uint64_t key) const {
    return keys_.empty() ? kNone : values_[place_of(key)];
}

void FlatMap::set(std::uint64_t key, std::uint32_t value) {
    if ((size_ + 1) * 8 > keys_.size() * 7) grow();
    const std::size_t at = place_of(key);
    if (values_[at] == kNone) ++size_;
    keys_[at] = key;
    values_[at] = value;
}

void FlatMap::erase(std::uint64_t key) {
    if (keys_.empty()) return;
    const std::size_t mask = keys_.size() - 1;
    std::size_t hole = place_of(key);
    if (values_[hole] == kNone) return;
    --size_;
    // What follows without a gap moves up when its own place is at or before the hole.
    for (std::size_t at = (hole + 1) & mask; values_[at] != kNone; at = (at + 1) & mask) {
        const std::size_t home = static_cast<std::size_t>(keys_[at]) & mask;
        if (((at - home) & mask) < ((at - hole) & mask)) continue;
        keys_[hole] = keys_[at];
        values_[hole] = values_[at];
        hole = at;
    }
    values_[hole] = kNone;
}

void FlatMap::clear() {
    keys_.clear();
    values_.clear();
    size_ = 0;
}

void FlatMap::grow() {
    const auto keys = std::move(keys_);
    const auto values = std::move(values_);
    const std::size_t places = keys.empty() ? kPlacesMin : keys.size() * 2;
    keys_.assign(places, 0);
    values_.assign(places, kNone);
    for (std::size_t i = 0; i < keys.size(); ++i) {
        if (values[i] == kNone) continue;
        const std::size_t at = place_of(keys[i]);
        keys_[at] = keys[i];
        values_[at] = values[i];
    }
}

}  // namespace vigie::detectors
