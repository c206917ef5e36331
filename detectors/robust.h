#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/time.h"
#include "detectors/codec.h"
#include "detectors/phase.h"

// Statistics that a few wild values cannot bend, and the bookkeeping of "odd for long enough".
namespace vigie::detectors {

// Multiplies a mean absolute, or a median absolute, deviation into the standard deviation that
// a normal distribution would have.
inline constexpr double kMeanDeviationScale = 1.2533;
inline constexpr double kMedianDeviationScale = 1.4826;

// `sorted` ascending; linear between neighbours; 0 when empty.
double quantile(std::span<const double> sorted, double q);
double median(std::vector<double> values);  // 0 when empty

// Where values usually are.
struct Usual {
    double median = 0;
    double spread = 0;  // 1.4826 times the median absolute deviation
    double low = 0;     // 5 % quantile
    double high = 0;    // 95 % quantile
    double top = 0;     // 99 % quantile
};
Usual usual_of(std::vector<double> values);

// The last `capacity` values.
class History {
public:
    explicit History(std::size_t capacity = 0) : capacity_(capacity) {}

    void push(double value);
    void clear() {
        values_.clear();
        next_ = 0;
    }
    std::size_t size() const { return values_.size(); }
    const std::vector<double>& values() const { return values_; }  // In no particular order.

    void save(Encoder& out) const;
    void load(Decoder& in);  // Keeps at most `capacity` values.

private:
    std::size_t capacity_;
    std::size_t next_ = 0;  // Where the oldest value is, once full.
    std::vector<double> values_;
};

// Turns single odd and calm observations into the beginning and the end of an anomaly.
class Episode {
public:
    enum class Turn : std::uint8_t { kNone, kBegan, kEnded };
    enum class Sight : std::uint8_t { kOdd, kBetween, kCalm };
    struct Needed {
        std::uint32_t odd = 1;   // In a row, to begin; "between" breaks the row.
        std::uint32_t calm = 1;  // In a row, to end; "between" and odd break the row.
    };

    // `from`..`to` is the time that was looked at; the same instant for a point.
    Turn see(Sight sight, EventTime from, EventTime to, Needed needed);
    // Kept through a gap: what was odd before it says nothing of what is odd after it.
    void forget_row();
    void end();
    // Nothing is left to judge by: it fires no longer. see() tells of its end, or of a new
    // beginning, once there is.
    void fall_silent();

    bool firing() const { return phase_ == Phase::kFiring; }
    bool silent() const { return phase_ == Phase::kSilent; }
    bool suspect() const { return firing() || odd_ > 0; }
    EventTime first_seen() const { return first_seen_; }  // Of the running row or anomaly.
    EventTime last_seen() const { return last_seen_; }    // Of the last odd one.

    void save(Encoder& out) const;
    void load(Decoder& in);

private:
    Phase phase_ = Phase::kQuiet;
    std::uint64_t odd_ = 0;
    std::uint64_t calm_ = 0;
    EventTime first_seen_;
    EventTime last_seen_;
};

}  // namespace vigie::detectors
