#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.h"
#include "core/time.h"

namespace vigie::detectors {

// False for times beyond the year 9999 or before the year 1: differences of plausible times do
// not overflow. Detectors drop items with other times, and saved state cannot contain them.
constexpr bool plausible(EventTime at) {
    return micros_of(at) > -62'200'000'000'000'000 && micros_of(at) < 253'500'000'000'000'000;
}

// Writes the saved state of a detector: variable-length integers, doubles bit for bit, texts
// with their length. `seal` frames it: a version byte, the content, a checksum.
class Encoder {
public:
    void u64(std::uint64_t value);
    void i64(std::int64_t value);  // Small magnitudes of either sign are short.
    void f64(double value);
    void f32(float value);
    void flag(bool value);
    void text(std::string_view value);
    void time(EventTime value);

    std::string seal(char version) &&;

private:
    std::string bytes_;
};

// Reads what Encoder wrote, in the same order. A read past the end or of an impossible value
// sets failed() for good and gives zero, so that callers check once, at the end, with finish().
// `sealed` must outlive the decoder.
class Decoder {
public:
    // kInvalid for another version, kCorrupt for bytes that are cut or damaged. `what` names
    // the detector in the message.
    static Result<Decoder> open(std::string_view sealed, char version, std::string_view what);

    std::uint64_t u64();
    std::int64_t i64();
    double f64();
    float f32();
    bool flag();
    std::string text();
    EventTime time();

    // How many things follow, each of at least `bytes_each` bytes (>= 1): more than the input
    // can hold is a failure, so a damaged count cannot make the reader allocate without bound.
    std::size_t count(std::size_t bytes_each);

    // For values that decode but make no sense.
    void set_failed() { failed_ = true; }
    bool failed() const { return failed_; }

    // kCorrupt when anything failed or bytes are left over.
    Status finish() const;

private:
    Decoder(std::string_view content, std::string_view what) : rest_(content), what_(what) {}
    bool take(std::size_t bytes, std::string_view& out);

    std::string_view rest_;
    std::string what_;
    bool failed_ = false;
};

}  // namespace vigie::detectors
