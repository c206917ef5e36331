#pragma once

#include <string_view>
#include <utility>

#include "core/redact.h"
#include "core/result.h"
#include "core/utf8.h"
#include "schemas/events.h"

// What must hold for everything that a way in lets through, and for what it says of the rest.
namespace vigie::fuzz {

// 2026-11-21T05:41:40Z, just after the recorded bodies in the corpus were sent.
inline constexpr EventTime kNow = event_time_from_micros(1'795'239'700'000'000);

// Every reader of the topic takes it, and reads the same.
inline void check_event(schemas::EventData data, const DomainId& domain = {"default"}) {
    const schemas::Event event{{{"event-1"}, "/fuzz", kNow, domain}, std::move(data)};
    const auto back = schemas::decode(schemas::encode(event));
    VIGIE_ASSERT(back && *back == event);
}

// For the sender, a log line and a header: short, on one line, in whole characters.
inline void check_reason(std::string_view reason, std::size_t bytes_max = 400) {
    VIGIE_ASSERT(!reason.empty() && reason.size() <= bytes_max);
    VIGIE_ASSERT(one_line(reason, bytes_max) == reason && is_utf8(reason));
}

}  // namespace vigie::fuzz
