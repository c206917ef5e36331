#include <iostream>

#include <fmt/format.h>

#include "app/commands.h"
#include "app/log_access.h"
#include "app/render.h"
#include "app/replay.h"
#include "schemas/events.h"

namespace vigie::app {

namespace {

bool concerns(const streams::Message& message, std::string_view incident) {
    return incident.empty() || message.key == incident ||
           message.value.find(incident) != std::string::npos;
}

std::string shown(const streams::Message& message, Format format) {
    const auto event = schemas::decode(message.value);
    if (format != Format::kTable || !event) return message.value + "\n";
    return event_line(*event);
}

Result<EventTime> parse_or(const std::optional<std::string>& text, EventTime fallback) {
    return text ? parse_rfc3339(*text) : Result<EventTime>(fallback);
}

Status replay_and_print(const ReplayCommand& command) {
    VIGIE_TRY_ASSIGN(const EventTime from, parse_or(command.from, EventTime::min()));
    VIGIE_TRY_ASSIGN(const EventTime until, parse_or(command.to, EventTime::max()));
    VIGIE_TRY_ASSIGN(const auto access, LogAccess::open(command.place, LogAccess::Intent::kLook));
    const auto print = [&](std::string_view, const streams::Message& message) {
        if (message.event_time < from || !concerns(message, command.incident)) return;
        std::cout << shown(message, command.format);
    };
    VIGIE_TRY_ASSIGN(const Replay replay, replay_signals(access->bus(), until, print));
    std::cout.flush();
    fmt::print(stderr,
               "replayed {} signals: {} incident transitions, {} action intents, {} audit entries; "
               "{} of {} recorded transitions are the same byte for byte\n",
               replay.signals, replay.transitions, replay.actions, replay.audit, replay.same,
               replay.recorded);
    if (replay.same == replay.recorded) return {};
    return fail(ErrorKind::kConflict,
                replay.from_middle
                    ? "the replay differs from the record: the log no longer has its beginning"
                    : "the replay differs from the record: was it made by another version?");
}

}  // namespace

int run_replay(const ReplayCommand& command) {
    const auto done = replay_and_print(command);
    if (done) return 0;
    fmt::print(stderr, "vigie: replay: {}\n", done.error().message);
    return 1;
}

}  // namespace vigie::app
