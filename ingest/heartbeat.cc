#include "ingest/heartbeat.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include <fmt/format.h>

#include "core/redact.h"
#include "http/signature.h"
#include "ingest/intake.h"
#include "ingest/receivers.h"
#include "ingest/webhook.h"
#include "schemas/topics.h"

namespace vigie::ingest {

namespace topics = schemas::topics;
using schemas::Heartbeat;

namespace {

constexpr std::string_view kSource = "heartbeat";
constexpr std::chrono::seconds kEveryMax{std::chrono::hours{24 * 366}};

bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= 100 && std::ranges::all_of(text, [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' || c == '-';
    });
}

Status read_duration(const http::Request& request, std::string_view name, std::chrono::seconds min,
                     std::chrono::seconds& value) {
    const auto text = request.query_value(name);
    if (!text) return {};
    const auto parsed = parse_duration(*text);
    if (!parsed) return fail(Error(parsed.error()).in(name));
    value = std::chrono::ceil<std::chrono::seconds>(*parsed);
    if (value >= min && value <= kEveryMax) return {};
    return fail(ErrorKind::kInvalid, fmt::format("{} is out of its range", name));
}

http::Response refusal_answer(int status, std::string_view reason) {
    return http::Response::text(status, std::string(reason));
}

void receive(const std::shared_ptr<Intake>& intake, const HeartbeatOptions& options,
             http::Request request, http::Respond respond) {
    auto arrival = intake->arrive(kSource, std::move(request), std::move(respond), refusal_answer);
    if (!arrival) return;
    const http::Request& got = arrival->request;
    const auto in_query = got.query_value("token");
    const bool trusted =
        in_query && !options.token.empty() && http::equal_constant_time(options.token, *in_query);
    if (!trusted) {
        if (const auto refusal = check_token(options.token, got)) {
            intake->refuse(*arrival, *refusal);
            return;
        }
    }
    auto beat = parse_heartbeat(got.path_parts.front(), got, options);
    if (!beat) {
        intake->refuse(*arrival, {400, "body", beat.error().message, false});
        return;
    }
    beat->ended = got.method == "DELETE";
    std::vector<streams::Message> messages;
    messages.push_back(heartbeat_message(*intake, *std::move(beat)));
    intake->append(*std::move(arrival), std::move(messages), 1, http::Response::text(200, "OK"));
}

}  // namespace

Result<Heartbeat> parse_heartbeat(const std::string& name, const http::Request& request,
                                  const HeartbeatOptions& options) {
    if (!is_name(name)) {
        return fail(ErrorKind::kInvalid,
                    "the name must be 1 to 100 letters, digits, dots, dashes or underscores");
    }
    Heartbeat beat;
    beat.name = name;
    beat.every = options.every;
    beat.grace = options.grace;
    const auto expected =
        std::ranges::find_if(options.expected, [&](const auto& one) { return one.name == name; });
    if (expected != options.expected.end()) beat = *expected;
    beat.declared = false;
    VIGIE_TRY(read_duration(request, "every", std::chrono::seconds{1}, beat.every));
    VIGIE_TRY(read_duration(request, "grace", std::chrono::seconds{0}, beat.grace));
    if (const auto entity = request.query_value("entity")) {
        beat.entity.value = one_line(*entity, 200);
    }
    if (const auto summary = request.query_value("summary")) {
        beat.summary = one_line(*summary, 300);
    }
    if (const auto word = request.query_value("severity")) {
        const auto severity = schemas::parse_severity(*word);
        if (!severity) {
            return fail(ErrorKind::kInvalid, "severity is not info, warning or critical");
        }
        beat.severity = *severity;
    }
    return beat;
}

std::optional<Heartbeat> take_watchdog(schemas::Alert& alert, const HeartbeatOptions& options,
                                       EventTime now) {
    if (std::ranges::find(options.watchdogs, alert.name) == options.watchdogs.end()) {
        return std::nullopt;
    }
    alert.severity = schemas::Severity::kInfo;
    if (!alert.firing) return std::nullopt;  // That it stops is what its silence says.
    Heartbeat beat;
    beat.name = fmt::format("{}-{}", alert.name, alert.fingerprint);
    beat.every = options.watchdog_every;
    if (alert.ends_at && *alert.ends_at > now) {
        beat.every = std::chrono::ceil<std::chrono::seconds>(*alert.ends_at - now);
    }
    beat.every = std::clamp(beat.every, std::chrono::seconds{1}, kEveryMax);
    beat.grace = options.grace;
    beat.entity = alert.entity;
    beat.summary = fmt::format("the alert {} comes no more: alerts may not reach anybody",
                               one_line(alert.name, 100));
    return beat;
}

streams::Message heartbeat_message(const Intake& intake, Heartbeat beat) {
    const std::string name = beat.name;
    const EventId id = event_id(kSource, fmt::format("{}|{}|{}|{}", name, micros_of(intake.now()),
                                                     beat.declared, beat.ended));
    auto message =
        intake.event_message(topics::kHeartbeats, "/ingest/heartbeat", id, std::move(beat));
    message.key = name;
    return message;
}

std::vector<streams::Message> Receivers::expected_heartbeats() const {
    std::vector<streams::Message> messages;
    for (auto beat : options_.heartbeats.expected) {
        beat.declared = true;
        messages.push_back(heartbeat_message(*intake_, std::move(beat)));
    }
    return messages;
}

void Receivers::add_heartbeat(http::Router& router) const {
    const auto options = std::make_shared<const HeartbeatOptions>(options_.heartbeats);
    for (const auto* method : {"GET", "POST", "PUT", "DELETE"}) {
        router.add(method, "/heartbeat/{name}",
                   [intake = intake_, options](http::Request request, http::Respond respond) {
                       receive(intake, *options, std::move(request), std::move(respond));
                   });
    }
}

}  // namespace vigie::ingest
