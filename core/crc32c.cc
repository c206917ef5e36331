#include "core/crc32c.h"

#include <array>
#include <cstddef>
#include <cstring>

namespace vigie {

namespace {

constexpr std::uint32_t kPolynomial = 0x82f63b78;  // Reflected.
constexpr std::size_t kSlices = 8;
using Tables = std::array<std::array<std::uint32_t, 256>, kSlices>;

// Slicing-by-8 (Kounavis and Berry, Intel, 2005): eight bytes for each round of look-ups.
constexpr Tables make_tables() {
    Tables tables{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? kPolynomial : 0);
        tables[0][i] = crc;
    }
    for (std::size_t slice = 1; slice < kSlices; ++slice) {
        for (std::size_t i = 0; i < 256; ++i) {
            const std::uint32_t before = tables[slice - 1][i];
            tables[slice][i] = (before >> 8U) ^ tables[0][before & 0xffU];
        }
    }
    return tables;
}
constexpr Tables kTables = make_tables();

#if defined(__x86_64__)

// The processor's instruction takes three cycles and can begin one in each, so three runs of bytes
// are summed side by side, and joined: the sum of a run goes on as if the next ones were zeros.
constexpr std::size_t kRun = 128;
using Shift = std::array<std::array<std::uint32_t, 256>, 4>;

// By byte of a sum: what it becomes after `count` zeros. Linear, so the bytes' parts add up.
constexpr Shift make_shift(std::size_t count) {
    Shift shift{};
    for (std::size_t byte = 0; byte < 4; ++byte) {
        for (std::uint32_t bit = 0; bit < 8; ++bit) {
            std::uint32_t crc = 1U << (8 * byte + bit);
            for (std::size_t i = 0; i < count; ++i) crc = (crc >> 8U) ^ kTables[0][crc & 0xffU];
            for (std::uint32_t value = 0; value < 256; ++value) {
                if ((value >> bit & 1U) != 0) shift[byte][value] ^= crc;
            }
        }
    }
    return shift;
}
constexpr Shift kOneRun = make_shift(kRun);
constexpr Shift kTwoRuns = make_shift(2 * kRun);

std::uint64_t shifted(const Shift& shift, std::uint64_t crc) {
    return shift[0][crc & 0xffU] ^ shift[1][crc >> 8U & 0xffU] ^ shift[2][crc >> 16U & 0xffU] ^
           shift[3][crc >> 24U & 0xffU];
}

std::uint64_t word_at(std::string_view bytes, std::size_t at) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, sizeof word);
    return word;
}

__attribute__((target("sse4.2"))) std::uint32_t crc32c_of_processor(std::string_view bytes) {
    std::uint64_t crc = 0xffffffff;
    for (; bytes.size() >= 3 * kRun; bytes.remove_prefix(3 * kRun)) {
        std::uint64_t second = 0;
        std::uint64_t third = 0;
        for (std::size_t at = 0; at < kRun; at += sizeof crc) {
            crc = __builtin_ia32_crc32di(crc, word_at(bytes, at));
            second = __builtin_ia32_crc32di(second, word_at(bytes, kRun + at));
            third = __builtin_ia32_crc32di(third, word_at(bytes, 2 * kRun + at));
        }
        crc = shifted(kTwoRuns, crc) ^ shifted(kOneRun, second) ^ third;
    }
    for (; bytes.size() >= sizeof crc; bytes.remove_prefix(sizeof crc)) {
        crc = __builtin_ia32_crc32di(crc, word_at(bytes, 0));
    }
    auto rest = static_cast<std::uint32_t>(crc);
    for (const char c : bytes) rest = __builtin_ia32_crc32qi(rest, static_cast<unsigned char>(c));
    return ~rest;
}

bool processor_knows_crc32c() {
    static const bool knows = __builtin_cpu_supports("sse4.2") != 0;
    return knows;
}
#endif

}  // namespace

std::uint32_t detail::crc32c_of_tables(std::string_view bytes) {
    std::uint32_t crc = 0xffffffff;
    const auto byte = [&bytes](std::size_t at) {
        return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at]));
    };
    while (bytes.size() >= kSlices) {
        const std::uint32_t low = crc ^ (byte(0) | byte(1) << 8U | byte(2) << 16U | byte(3) << 24U);
        crc = kTables[7][low & 0xffU] ^ kTables[6][low >> 8U & 0xffU] ^
              kTables[5][low >> 16U & 0xffU] ^ kTables[4][low >> 24U] ^ kTables[3][byte(4)] ^
              kTables[2][byte(5)] ^ kTables[1][byte(6)] ^ kTables[0][byte(7)];
        bytes.remove_prefix(kSlices);
    }
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        crc = (crc >> 8U) ^ kTables[0][(crc ^ byte(i)) & 0xffU];
    }
    return ~crc;
}

std::uint32_t crc32c(std::string_view bytes) {
#if defined(__x86_64__)
    if (processor_knows_crc32c()) return crc32c_of_processor(bytes);
#endif
    return detail::crc32c_of_tables(bytes);
}

}  // namespace vigie
