#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

// Hashes of short texts: as code of ours, not as calls into a library.
#define XXH_INLINE_ALL  // NOLINT(readability-identifier-naming): xxHash reads it.
#include <xxhash.h>

// Protobuf as most senders write it, without the generality of protozero: for the few messages
// that come by the million. Whoever meets something else starts again with protozero. Only for
// schemas/*.cc.
namespace vigie::schemas::detail {

// Reads forward; every function is false, and the cursor then of no use, when the bytes end.
class WireCursor {
public:
    explicit WireCursor(std::string_view bytes)
        : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

    bool at_end() const { return at_ == end_; }
    bool next_is(unsigned char tag) const {
        return at_ != end_ && static_cast<unsigned char>(*at_) == tag;
    }
    unsigned char take_byte() { return static_cast<unsigned char>(*at_++); }  // Not at the end

    bool take_varint(std::uint64_t& value) {
        value = 0;
        for (unsigned shift = 0; at_ != end_ && shift < 64; shift += 7) {
            const auto byte = static_cast<unsigned char>(*at_++);
            value |= std::uint64_t{byte & 0x7fU} << shift;
            if (byte < 0x80) return true;
        }
        return false;
    }
    template <class T>
    bool take_fixed64(T& value) {
        static_assert(sizeof(T) == 8);
        if (end_ - at_ < 8) return false;
        std::memcpy(&value, at_, 8);  // Little-endian, as protobuf.
        at_ += 8;
        return true;
    }
    bool take_bytes(std::string_view& bytes) {
        std::uint64_t size = 0;
        if (!take_varint(size) || size > static_cast<std::uint64_t>(end_ - at_)) return false;
        bytes = {at_, static_cast<std::size_t>(size)};
        at_ += size;
        return true;
    }
    // All the fields with this tag, of one byte and with a length, that follow each other.
    bool take_run(unsigned char tag, std::string_view& run) {
        const char* const begin = at_;
        std::string_view skipped;
        while (next_is(tag)) {
            ++at_;
            if (!take_bytes(skipped)) return false;
        }
        run = {begin, static_cast<std::size_t>(at_ - begin)};
        return true;
    }

private:
    const char* at_;
    const char* end_;
};

inline std::uint64_t hash_of(std::string_view bytes, std::uint64_t seed = 0) {
    return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

// Two hashes, or a hash and a number, as one.
inline std::uint64_t mix(std::uint64_t hash, std::uint64_t more) {
    std::uint64_t x = hash ^ (more + 0x9e3779b97f4a7c15U + (hash << 6U) + (hash >> 2U));
    x ^= x >> 32U;
    x *= 0xd6e8feb86659fd93U;
    x ^= x >> 32U;
    x *= 0xd6e8feb86659fd93U;
    return x ^ x >> 32U;
}

}  // namespace vigie::schemas::detail
