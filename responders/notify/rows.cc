#include "responders/notify/rows.h"

#include <fmt/format.h>

#include <algorithm>

#include "schemas/json.h"

namespace vigie::notify {

using schemas::Json;

bool Row::has(Leg::Status status) const {
    return std::any_of(legs.begin(), legs.end(),
                       [status](const auto& entry) { return entry.second.status == status; });
}

std::string row_key(const Message& message) {
    return fmt::format("{}{:020}/{}", kRowPrefix, std::max<std::int64_t>(micros_of(message.at), 0),
                       message.id);
}

std::string encode(const Row& row) {
    Json legs = Json::object();
    for (const auto& [channel, leg] : row.legs) {
        legs[channel] = {{"status", static_cast<int>(leg.status)},
                         {"attempts", leg.attempts},
                         {"due", micros_of(leg.due)}};
    }
    const auto& message = row.message;
    const Json value{
        {"id", message.id},       {"kind", message.kind},
        {"text", message.text},   {"incident", message.incident.value},
        {"title", message.title}, {"severity", std::string(schemas::to_string(message.severity))},
        {"state", message.state}, {"owner", message.owner},
        {"link", message.link},   {"at", micros_of(message.at)},
        {"lost", row.lost},       {"legs", legs}};
    return schemas::dump_json(value);
}

Result<Row> decode_row(std::string_view bytes) {
    const auto json = schemas::parse_json(bytes);
    if (!json) return fail(ErrorKind::kCorrupt, "pending notice: " + json.error().message);
    const auto text = [&json](std::string_view pointer) {
        return schemas::string_at(*json, pointer).value_or("");
    };
    const auto at = schemas::integer_at(*json, "/at");
    const auto severity = schemas::parse_severity(text("/severity"));
    const auto* legs = schemas::find(*json, "/legs");
    if (!at || !severity || legs == nullptr || !legs->is_object()) {
        return fail(ErrorKind::kCorrupt, "pending notice lacks a field");
    }
    Row row{.message = {.id = text("/id"),
                        .kind = text("/kind"),
                        .text = text("/text"),
                        .incident = {text("/incident")},
                        .title = text("/title"),
                        .severity = *severity,
                        .state = text("/state"),
                        .owner = text("/owner"),
                        .link = text("/link"),
                        .at = event_time_from_micros(*at),
                        .entities = {}},
            .legs = {},
            .lost = schemas::bool_at(*json, "/lost").value_or(false)};
    for (const auto& [channel, value] : legs->items()) {
        const auto status = schemas::integer_at(value, "/status").value_or(0);
        if (status < 0 || status > static_cast<int>(Leg::Status::kFailed)) {
            return fail(ErrorKind::kCorrupt, "pending notice has an unknown status");
        }
        row.legs.emplace(
            channel,
            Leg{.status = static_cast<Leg::Status>(status),
                .attempts = static_cast<int>(schemas::integer_at(value, "/attempts").value_or(0)),
                .due = event_time_from_micros(schemas::integer_at(value, "/due").value_or(0))});
    }
    return row;
}

}  // namespace vigie::notify
