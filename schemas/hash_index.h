#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

// A flat table from hashes of 64 bits to numbers. Only for schemas/*.cc.
namespace vigie::schemas::detail {

// Linear probing in slots of 16 bytes, at most three quarters full. Several numbers may have one
// hash; what a number stands for is compared by the caller.
class HashIndex {
public:
    static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

    struct Found {
        std::uint32_t number = kNone;
        std::uint8_t tag = 0;
    };

    // The first number with this hash.
    Found find(std::uint64_t hash) const {
        if (slots_.empty()) return {};
        for (std::size_t at = home(hash);; at = (at + 1) & mask()) {
            const Slot& slot = slots_[at];
            if (slot.number == kNone || slot.hash == hash) return {slot.number, slot.tag};
        }
    }
    // The number with this hash of which `same` says that it is the one; kNone when there is none.
    template <class Same>
    std::uint32_t find(std::uint64_t hash, Same same) const {
        if (slots_.empty()) return kNone;
        for (std::size_t at = home(hash);; at = (at + 1) & mask()) {
            const Slot& slot = slots_[at];
            if (slot.number == kNone) return kNone;
            if (slot.hash == hash && same(slot.number)) return slot.number;
        }
    }

    void insert(std::uint64_t hash, std::uint32_t number, std::uint8_t tag = 0) {
        if ((size_ + 1) * 4 > slots_.size() * 3) grow();
        put({hash, number, tag});
        ++size_;
    }

    void erase(std::uint64_t hash, std::uint32_t number) {
        if (slots_.empty()) return;
        std::size_t at = home(hash);
        while (slots_[at].number != number || slots_[at].hash != hash) {
            if (slots_[at].number == kNone) return;
            at = (at + 1) & mask();
        }
        --size_;
        close_gap(at);
    }

    // Leaves what `keep` says yes to.
    template <class Keep>
    void keep_if(Keep keep) {
        std::vector<Slot> old(slots_.size());
        std::swap(old, slots_);
        size_ = 0;
        for (const Slot& slot : old) {
            if (slot.number == kNone || !keep(slot.number)) continue;
            put(slot);
            ++size_;
        }
    }

    std::size_t size() const { return size_; }
    std::size_t memory_bytes() const { return slots_.capacity() * sizeof(Slot); }

private:
    struct Slot {
        std::uint64_t hash = 0;
        std::uint32_t number = kNone;
        std::uint8_t tag = 0;
    };

    std::size_t mask() const { return slots_.size() - 1; }
    std::size_t home(std::uint64_t hash) const { return static_cast<std::size_t>(hash) & mask(); }

    void put(const Slot& slot) {
        std::size_t at = home(slot.hash);
        while (slots_[at].number != kNone) at = (at + 1) & mask();
        slots_[at] = slot;
    }
    void grow() {
        std::vector<Slot> old(slots_.empty() ? 16 : slots_.size() * 2);
        std::swap(old, slots_);
        for (const Slot& slot : old) {
            if (slot.number != kNone) put(slot);
        }
    }
    // What comes behind moves up when it would not be found otherwise.
    void close_gap(std::size_t gap) {
        for (std::size_t at = (gap + 1) & mask(); slots_[at].number != kNone;
             at = (at + 1) & mask()) {
            const std::size_t wanted = home(slots_[at].hash);
            if (((at - wanted) & mask()) < ((at - gap) & mask())) continue;
            slots_[gap] = slots_[at];
            gap = at;
        }
        slots_[gap] = {};
    }

    std::vector<Slot> slots_;
    std::size_t size_ = 0;
};

}  // namespace vigie::schemas::detail
