#include "ingest/series_bound.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "core/id.h"

namespace vigie::ingest {

namespace {

constexpr unsigned kIndexBits = 11;  // 2^11 registers

// FNV's low bits are good and its high bits are not: mixed as in splitmix64.
std::uint64_t mixed(std::uint64_t hash) {
    hash ^= hash >> 30U;
    hash *= 0xbf58476d1ce4e5b9U;
    hash ^= hash >> 27U;
    hash *= 0x94d049bb133111ebU;
    return hash ^ (hash >> 31U);
}

}  // namespace

void ValueCount::add(std::uint64_t hash) {
    const std::uint64_t bits = mixed(hash);
    const std::size_t index = bits >> (64 - kIndexBits);
    const auto rank = static_cast<std::uint8_t>(
        std::min<int>(std::countl_zero(bits << kIndexBits), 64 - kIndexBits) + 1);
    registers_.at(index) = std::max(registers_.at(index), rank);
}

void ValueCount::add(const ValueCount& other) {
    for (std::size_t i = 0; i < registers_.size(); ++i) {
        registers_.at(i) = std::max(registers_.at(i), other.registers_.at(i));
    }
}

double ValueCount::estimate() const {
    const auto count = static_cast<double>(registers_.size());
    double sum = 0;
    double empty = 0;
    for (const std::uint8_t rank : registers_) {
        sum += std::ldexp(1.0, -rank);
        if (rank == 0) ++empty;
    }
    const double alpha = 0.7213 / (1 + 1.079 / count);
    const double raw = alpha * count * count / sum;
    if (raw <= 2.5 * count && empty > 0) return count * std::log(count / empty);
    return raw;
}

// Where it is, or where it would be.
std::size_t HashSet::place_of(std::uint64_t hash) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = mixed(hash) & mask;
    while (slots_[at] != 0 && slots_[at] != hash) at = (at + 1) & mask;
    return at;
}

bool HashSet::contains(std::uint64_t hash) const {
    return !slots_.empty() && slots_[place_of(std::max<std::uint64_t>(hash, 1))] != 0;
}

void HashSet::insert(std::uint64_t hash) {
    constexpr std::size_t kSlotsMin = 64;
    // At most three quarters full.
    if (4 * (size_ + 1) > 3 * slots_.size()) {
        std::vector<std::uint64_t> old(std::max(kSlotsMin, 2 * slots_.size()));
        std::swap(old, slots_);
        for (const std::uint64_t one : old) {
            if (one != 0) slots_[place_of(one)] = one;
        }
    }
    slots_[place_of(std::max<std::uint64_t>(hash, 1))] = std::max<std::uint64_t>(hash, 1);
    ++size_;
}

bool SeriesBound::admit(std::string_view metric, const schemas::Labels& labels) {
    const std::uint64_t hash = fnv1a64(schemas::to_string(metric, labels));
    const std::scoped_lock lock(mutex_);
    if (now_.contains(hash)) return true;
    // Those that are refused count too: they tell whose fault it is.
    for (const auto& [name, value] : labels) {
        auto found = values_now_.find(name);
        if (found == values_now_.end()) {
            if (values_now_.size() >= kNamesMax) continue;
            found = values_now_.emplace(name, ValueCount{}).first;
        }
        found->second.add(fnv1a64(value));
    }
    if (!before_.contains(hash)) {
        if (both_ >= series_max_) {
            ++refused_;
            return false;
        }
        ++both_;
    }
    now_.insert(hash);
    return true;
}

void SeriesBound::turn() {
    const std::scoped_lock lock(mutex_);
    before_ = std::exchange(now_, {});
    both_ = before_.size();
    values_before_ = std::exchange(values_now_, {});
    window_.fetch_add(1, std::memory_order_relaxed);
}

SeriesBound::State SeriesBound::state() const {
    const std::scoped_lock lock(mutex_);
    return {both_, refused_};
}

SeriesBound::Widest SeriesBound::widest() const {
    const std::scoped_lock lock(mutex_);
    Widest widest;
    const auto look = [&widest](const std::string& name, const ValueCount& count) {
        const auto values = static_cast<std::uint64_t>(std::llround(count.estimate()));
        if (values > widest.values) widest = {name, values};
    };
    for (const auto& [name, count] : values_now_) {
        ValueCount all = count;
        if (const auto found = values_before_.find(name); found != values_before_.end()) {
            all.add(found->second);
        }
        look(name, all);
    }
    for (const auto& [name, count] : values_before_) {
        if (!values_now_.contains(name)) look(name, count);
    }
    return widest;
}

}  // namespace vigie::ingest
