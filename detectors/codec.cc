#include "detectors/codec.h"

#include <bit>

#include <fmt/format.h>

#include "core/id.h"

namespace vigie::detectors {

namespace {

constexpr std::size_t kChecksumBytes = 8;

void put_fixed64(std::string& out, std::uint64_t value) {
    for (unsigned shift = 0; shift < 64; shift += 8) {
        out.push_back(static_cast<char>((value >> shift) & 0xffU));
    }
}

std::uint64_t get_fixed64(std::string_view bytes) {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < 8; ++i) {
        value |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
    }
    return value;
}

}  // namespace

void Encoder::u64(std::uint64_t value) {
    while (value >= 0x80) {
        bytes_.push_back(static_cast<char>(0x80U | (value & 0x7fU)));
        value >>= 7U;
    }
    bytes_.push_back(static_cast<char>(value));
}

void Encoder::i64(std::int64_t value) {
    const auto bits = static_cast<std::uint64_t>(value);
    u64((bits << 1U) ^ (value < 0 ? ~std::uint64_t{0} : 0));
}

void Encoder::f64(double value) {
    put_fixed64(bytes_, std::bit_cast<std::uint64_t>(value));
}

void Encoder::f32(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    for (unsigned shift = 0; shift < 32; shift += 8) {
        bytes_.push_back(static_cast<char>((bits >> shift) & 0xffU));
    }
}

void Encoder::flag(bool value) {
    bytes_.push_back(value ? '\1' : '\0');
}

void Encoder::text(std::string_view value) {
    u64(value.size());
    bytes_.append(value);
}

void Encoder::time(EventTime value) {
    i64(micros_of(value));
}

std::string Encoder::seal(char version) && {
    std::string sealed(1, version);
    sealed += bytes_;
    put_fixed64(sealed, fnv1a64(sealed));
    return sealed;
}

Result<Decoder> Decoder::open(std::string_view sealed, char version, std::string_view what) {
    if (sealed.empty()) {
        return fail(ErrorKind::kCorrupt, fmt::format("{}: saved state is empty", what));
    }
    if (sealed.front() != version) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("{}: saved state has format {}, not {}; discard it and replay",
                                what, static_cast<int>(static_cast<unsigned char>(sealed.front())),
                                static_cast<int>(version)));
    }
    if (sealed.size() < 1 + kChecksumBytes) {
        return fail(ErrorKind::kCorrupt, fmt::format("{}: saved state is cut short", what));
    }
    const auto body = sealed.substr(0, sealed.size() - kChecksumBytes);
    if (get_fixed64(sealed.substr(body.size())) != fnv1a64(body)) {
        return fail(ErrorKind::kCorrupt, fmt::format("{}: saved state is damaged", what));
    }
    return Decoder(body.substr(1), what);
}

bool Decoder::take(std::size_t bytes, std::string_view& out) {
    if (failed_ || rest_.size() < bytes) {
        failed_ = true;
        return false;
    }
    out = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return true;
}

std::uint64_t Decoder::u64() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        std::string_view byte;
        if (!take(1, byte)) return 0;
        const auto bits = static_cast<unsigned char>(byte.front());
        if (shift == 63 && bits > 1) break;
        value |= std::uint64_t{bits & 0x7fU} << shift;
        if (bits < 0x80) return value;
    }
    failed_ = true;
    return 0;
}

std::int64_t Decoder::i64() {
    const std::uint64_t bits = u64();
    return static_cast<std::int64_t>((bits >> 1U) ^ (~(bits & 1U) + 1));
}

double Decoder::f64() {
    std::string_view bytes;
    return take(8, bytes) ? std::bit_cast<double>(get_fixed64(bytes)) : 0;
}

float Decoder::f32() {
    std::string_view bytes;
    if (!take(4, bytes)) return 0;
    std::uint32_t value = 0;
    for (unsigned i = 0; i < 4; ++i) {
        value |= std::uint32_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
    }
    return std::bit_cast<float>(value);
}

bool Decoder::flag() {
    std::string_view byte;
    if (!take(1, byte)) return false;
    if (byte.front() != '\0' && byte.front() != '\1') failed_ = true;
    return byte.front() == '\1';
}

std::string Decoder::text() {
    std::string_view bytes;
    const std::uint64_t size = u64();
    if (size > rest_.size()) failed_ = true;
    return take(failed_ ? 0 : size, bytes) ? std::string(bytes) : std::string();
}

EventTime Decoder::time() {
    const EventTime at = event_time_from_micros(i64());
    if (!plausible(at)) failed_ = true;
    return failed_ ? EventTime{} : at;
}

std::size_t Decoder::count(std::size_t bytes_each) {
    const std::uint64_t value = u64();
    if (value > rest_.size() / bytes_each) failed_ = true;
    return failed_ ? 0 : value;
}

Status Decoder::finish() const {
    if (failed_ || !rest_.empty()) {
        return fail(ErrorKind::kCorrupt,
                    fmt::format("{}: saved state does not decode; discard it and replay", what_));
    }
    return {};
}

}  // namespace vigie::detectors
