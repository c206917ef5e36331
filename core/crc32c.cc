#include "core/crc32c.h"

#include <array>
#include <cstddef>
#include <cstring>

namespace vigie {

namespace {

#if defined(__x86_64__)
// The processor's own instruction: eight bytes at a time, about six times the tables' speed.
__attribute__((target("sse4.2"))) std::uint32_t crc32c_of_processor(std::string_view bytes) {
    std::uint64_t crc = 0xffffffff;
    for (; bytes.size() >= sizeof crc; bytes.remove_prefix(sizeof crc)) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes.data(), sizeof word);
        crc = __builtin_ia32_crc32di(crc, word);
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
