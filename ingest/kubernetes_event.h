#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/time.h"
#include "ingest/intake.h"

namespace vigie::ingest {

// What one Event of Kubernetes (core/v1) becomes: a change when something was rolled out, scaled,
// cordoned or moved; a line on vigie.logs when it is a warning; else nothing. Equal events give
// equal ids. kInvalid for what is no event.
// https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
Result<std::vector<streams::Message>> kubernetes_messages(Intake& intake, std::string_view event);

// A page of the list of events, each as JSON.
struct EventPage {
    std::vector<std::string> events;  // Those last seen at `oldest` or later
    std::string resource_version;
    std::string next;  // Token of the next page; "" when there is none
};
Result<EventPage> parse_event_page(std::string_view body, EventTime oldest);

// A line of a watch: {"type": …, "object": …}.
struct WatchLine {
    enum class Type : std::uint8_t { kObject, kBookmark, kDeleted, kGone, kError };
    Type type = Type::kError;
    std::string resource_version;  // Where to go on after it; "" when it says nothing
    std::string message;           // Of an error
    std::string object;            // JSON
};
// kInvalid for what is no such line. kGone: the version is too old, list again.
Result<WatchLine> parse_watch_line(std::string_view line);

// What a Status of the API server says, or "".
std::string status_message(std::string_view body);

}  // namespace vigie::ingest
