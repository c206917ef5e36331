#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "core/time.h"
#include "detectors/codec.h"

namespace vigie::detectors {

// The operations of each service, by the names of its server and consumer spans. A service that
// puts ids into the names of its spans has no end of them: those beyond a limit count together.
class Operations {
public:
    static constexpr std::string_view kOther = "(other)";

    struct Limits {
        std::size_t of_one_max;
        std::size_t total_max;
        std::chrono::seconds idle_after;  // One that was not seen for so long makes room.
    };
    explicit Operations(Limits limits) : limits_(limits) {}

    // The name under which the operation is counted: its own, cut to 100 bytes, or kOther. "" for a
    // span without a name.
    std::string admit(const std::string& service, std::string_view name, EventTime at);
    // Of one service; those that count as kOther are one.
    std::size_t count(const std::string& service) const;
    std::uint64_t overflowed() const { return overflowed_; }  // Spans that counted as kOther.

    void save(Encoder& out) const;
    void load(Decoder& in);

private:
    using Names = std::map<std::string, EventTime, std::less<>>;  // When each was last seen.

    bool make_room(Names& names, EventTime at);

    // Constant after construction.
    Limits limits_;

    std::uint64_t overflowed_ = 0;
    // Saved.
    std::map<std::string, Names> services_;
    std::size_t total_ = 0;  // Of all names but kOther.
};

}  // namespace vigie::detectors
