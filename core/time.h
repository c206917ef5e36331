#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.h"

namespace vigie {

// Three times, three types: the compiler refuses to mix them.

// When something happened, as its source said. Comes from records, never from a clock,
// which is why it has no now(). Windows, timers and detectors run on this one.
struct EventClock {
    using duration = std::chrono::microseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<EventClock>;
    static constexpr bool is_steady = false;  // NOLINT(readability-identifier-naming): std's name.
};
using EventTime = EventClock::time_point;

// UTC for people: logs, post-mortems, ticks. May jump back; never subtract two of them.
using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;

// For timeouts and latencies inside one process. Never stored, never sent.
using SteadyTime = std::chrono::time_point<std::chrono::steady_clock, std::chrono::nanoseconds>;

// The only way to learn what time it is. Safe to call from any thread. The real one is
// SystemClock (core/system_clock.h); tests use a virtual one, so no test ever sleeps.
class Clock {
public:
    Clock() = default;
    Clock(const Clock&) = delete;
    Clock& operator=(const Clock&) = delete;
    virtual ~Clock() = default;

    virtual WallTime wall() const = 0;
    virtual SteadyTime steady() const = 0;
};

// The moment a wall clock shows, as an event time: what ingest stamps on ticks and on input
// that carries no time of its own.
constexpr EventTime to_event_time(WallTime wall) {
    return EventTime{std::chrono::duration_cast<EventClock::duration>(wall.time_since_epoch())};
}

constexpr EventTime event_time_from_micros(std::int64_t micros) {
    return EventTime{EventClock::duration{micros}};
}
constexpr std::int64_t micros_of(EventTime at) {
    return at.time_since_epoch().count();
}

// RFC 3339 in UTC with microseconds when there are any: "2026-11-21T10:28:00Z",
// "2026-11-21T10:28:00.250000Z". Years outside 1..9999 are clamped to that range.
std::string to_rfc3339(EventTime at);

// RFC 3339 with an offset or "Z" and up to nine decimals (cut to microseconds). kInvalid for
// anything else, and for a day or hour that does not exist.
Result<EventTime> parse_rfc3339(std::string_view text);

// "1h30m", "250ms", "45s", "7d", "0s": whole numbers with the units w d h m s ms, largest
// first. kInvalid for anything else, negative numbers and overflow included.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);

// The shortest text that parse_duration reads back: "1h30m".
std::string to_string(std::chrono::milliseconds duration);

}  // namespace vigie
