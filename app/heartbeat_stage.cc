#include "app/heartbeat_stage.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "app/metrics.h"
#include "schemas/json.h"
#include "schemas/topics.h"

namespace vigie::app {

namespace topics = schemas::topics;
using schemas::Heartbeat;
using schemas::Json;

namespace {

constexpr std::string_view kCount = "count";

std::string row_key(std::string_view name) {
    return fmt::format("beat/{}", name);
}

bool is_tick(const streams::Record& record) {
    return std::ranges::any_of(record.message.headers, [](const auto& header) {
        return header.first == topics::kHeaderKind && header.second == topics::kKindTick;
    });
}

Result<std::size_t> read_count(const streams::Context& context) {
    VIGIE_TRY_ASSIGN(const auto text, context.get(kCount));
    std::size_t count = 0;
    if (text) std::from_chars(text->data(), text->data() + text->size(), count);
    return count;
}

EventTime due(const Heartbeat& beat, EventTime last) {
    return last + beat.every + beat.grace;
}

std::string sentence(const Heartbeat& beat, EventTime last) {
    const auto every = to_string(std::chrono::milliseconds(beat.every));
    return fmt::format("heartbeat '{}' is due every {} and was last seen at {}", beat.name, every,
                       to_rfc3339(last));
}

}  // namespace

HeartbeatStage::HeartbeatStage(Options options, MetricsRegistry& metrics)
    : options_(std::move(options)),
      refused_(metrics.counter(kHeartbeatsRefused)),
      missing_(metrics.counter(kHeartbeatsMissing)) {}

Status HeartbeatStage::on_record(const streams::Record& record, streams::Context& context) {
    if (is_tick(record)) return {};
    VIGIE_TRY_ASSIGN(const auto event, schemas::decode(record.message.value));
    const auto* beat = std::get_if<Heartbeat>(&event.data);
    if (beat == nullptr) return fail(ErrorKind::kInvalid, "the event is not a heartbeat");
    return on_beat(*beat, event.meta.time, context);
}

Status HeartbeatStage::on_beat(const Heartbeat& beat, EventTime at, streams::Context& context) {
    VIGIE_TRY_ASSIGN(auto known, load(beat.name, context));
    if (beat.ended) return known ? forget(*known, context) : Status{};
    if (!known) {
        VIGIE_TRY_ASSIGN(const bool room, has_room(context));
        if (!room) {
            refused_.add();
            return {};
        }
        known = Row{beat, at, std::nullopt};
    }
    Row& row = *known;
    row.beat = beat;
    // A late beat does not take back a newer one; a declaration is no beat at all.
    if (!beat.declared) row.last = std::max(row.last, at);
    const bool alive = !beat.declared && due(beat, row.last) > at;
    if (row.missing_since && alive) {
        tell(row, at, false, context);
        row.missing_since.reset();
    }
    if (!row.missing_since) context.set_timer(beat.name, due(beat, row.last));
    store(row, context);
    return {};
}

Status HeartbeatStage::on_timer(std::string_view name, EventTime at, streams::Context& context) {
    VIGIE_TRY_ASSIGN(auto row, load(name, context));
    if (!row || row->missing_since || due(row->beat, row->last) > at) return {};
    row->missing_since = at;
    missing_.add();
    tell(*row, at, true, context);
    store(*row, context);
    return {};
}

Result<bool> HeartbeatStage::has_room(streams::Context& context) const {
    VIGIE_TRY_ASSIGN(const auto count, read_count(context));
    if (count >= options_.heartbeats_max) return false;
    context.put(kCount, std::to_string(count + 1));
    return true;
}

Status HeartbeatStage::forget(const Row& row, streams::Context& context) {
    if (row.missing_since) tell(row, context.watermark(), false, context);
    context.erase(row_key(row.beat.name));
    context.cancel_timer(row.beat.name);
    VIGIE_TRY_ASSIGN(const auto count, read_count(context));
    context.put(kCount, std::to_string(count - 1));
    return {};
}

void HeartbeatStage::tell(const Row& row, EventTime now, bool firing, streams::Context& context) {
    schemas::Alert alert;
    alert.fingerprint = "heartbeat-" + row.beat.name;
    alert.firing = firing;
    alert.name = "HeartbeatMissing";
    alert.severity = row.beat.severity;
    alert.entity =
        row.beat.entity.empty() ? make_entity("service", row.beat.name) : row.beat.entity;
    alert.summary = row.beat.summary.empty() ? sentence(row.beat, row.last) : row.beat.summary;
    alert.labels = {{"alertname", alert.name},
                    {"heartbeat", row.beat.name},
                    {"severity", std::string(schemas::to_string(alert.severity))}};
    alert.starts_at = firing ? now : *row.missing_since;
    if (!firing) alert.ends_at = now;
    const EventId id = stable_event_id(
        "heartbeat-", fmt::format("{}|{}|{}", row.beat.name,
                                  micros_of(firing ? now : *row.missing_since), firing));
    context.emit(
        {.topic = std::string(topics::kAlerts),
         .key = options_.domain.value,
         .value = schemas::encode({{id, "/app/heartbeat", now, options_.domain}, alert}),
         .headers = {{std::string(topics::kHeaderContentType), "application/cloudevents+json"}},
         .event_time = now});
}

Result<std::optional<HeartbeatStage::Row>> HeartbeatStage::load(std::string_view name,
                                                                const streams::Context& context) {
    VIGIE_TRY_ASSIGN(const auto text, context.get(row_key(name)));
    if (!text) return std::nullopt;
    VIGIE_TRY_ASSIGN(const Json json, schemas::parse_json(*text));
    Row row;
    row.beat.name = schemas::string_at(json, "/name").value_or("");
    row.beat.every = std::chrono::seconds{schemas::integer_at(json, "/every").value_or(1)};
    row.beat.grace = std::chrono::seconds{schemas::integer_at(json, "/grace").value_or(0)};
    row.beat.entity.value = schemas::string_at(json, "/entity").value_or("");
    row.beat.severity = schemas::parse_severity(schemas::string_at(json, "/severity").value_or(""))
                            .value_or(schemas::Severity::kCritical);
    row.beat.summary = schemas::string_at(json, "/summary").value_or("");
    row.last = event_time_from_micros(schemas::integer_at(json, "/last").value_or(0));
    if (const auto since = schemas::integer_at(json, "/missing_since")) {
        row.missing_since = event_time_from_micros(*since);
    }
    return row;
}

void HeartbeatStage::store(const Row& row, streams::Context& context) {
    Json json{{"name", row.beat.name},
              {"every", row.beat.every.count()},
              {"grace", row.beat.grace.count()},
              {"entity", row.beat.entity.value},
              {"severity", schemas::to_string(row.beat.severity)},
              {"summary", row.beat.summary},
              {"last", micros_of(row.last)}};
    if (row.missing_since) json["missing_since"] = micros_of(*row.missing_since);
    context.put(row_key(row.beat.name), schemas::dump_json(json));
}

}  // namespace vigie::app
