#include "schemas/events.h"

#include <array>
#include <utility>

#include <fmt/format.h>

#include "schemas/describe_decisions.h"
#include "schemas/describe_incident.h"
#include "schemas/describe_observations.h"
#include "schemas/describe_policy.h"
#include "schemas/reader.h"
#include "schemas/schema_files.h"
#include "schemas/writer.h"

namespace vigie::schemas {

namespace {

constexpr std::string_view kEnvelope = "event.v1.json";

// In the order of the alternatives of EventData.
constexpr std::array<std::string_view, 11> kTypes{
    "io.vigie.alert.v1",    "io.vigie.anomaly.v1", "io.vigie.forecast.v1", "io.vigie.change.v1",
    "io.vigie.decision.v1", "io.vigie.action.v1",  "io.vigie.incident.v1", "io.vigie.policy.v1",
    "io.vigie.audit.v1",    "io.vigie.tick.v1",    "io.vigie.heartbeat.v1"};
static_assert(kTypes.size() == std::variant_size_v<EventData>);

bool is_known(std::string_view type) {
    for (const auto known : kTypes) {
        if (known == type) return true;
    }
    return false;
}

// "io.vigie.alert.v1" -> "alert.v1.json"
std::string file_of(std::string_view type) {
    constexpr std::string_view kPrefix = "io.vigie.";
    return std::string(type.substr(kPrefix.size())) + ".json";
}

template <std::size_t... index>
Result<EventData> read_data(const Json& json, std::string_view type,
                            std::index_sequence<index...> /*alternatives*/) {
    Result<EventData> data;
    const auto read_as = [&]<std::size_t i>() {
        if (type != kTypes[i]) return;
        auto value = detail::Reader::read<std::variant_alternative_t<i, EventData>>(json, "/data");
        if (value) {
            data = *std::move(value);
        } else {
            data = fail(std::move(value).error());
        }
    };
    (read_as.template operator()<index>(), ...);
    return data;
}

Result<EventTime> read_time(const Json& json) {
    auto time = parse_rfc3339(json["time"].get_ref<const std::string&>());
    if (!time) return fail(ErrorKind::kInvalid, "/time: " + time.error().message);
    return time;
}

}  // namespace

std::string_view type_of(const EventData& data) {
    return kTypes.at(data.index());
}

std::string encode(const Event& event) {
    Json json = Json::object();
    json["specversion"] = "1.0";
    json["id"] = event.meta.id.value;
    json["source"] = event.meta.source;
    json["type"] = std::string(type_of(event.data));
    json["time"] = to_rfc3339(event.meta.time);
    json["domain"] = event.meta.domain.value;
    json["datacontenttype"] = "application/json";
    json["data"] =
        std::visit([](const auto& data) { return detail::Writer::write(data); }, event.data);
    return dump_json(json);
}

Result<Event> decode(std::string_view bytes) {
    VIGIE_TRY_ASSIGN(const Json json, parse_json(bytes));
    VIGIE_TRY(validate(json, detail::schema_named(kEnvelope)));
    const auto& type = json["type"].get_ref<const std::string&>();
    if (!is_known(type)) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("/type: unknown event type '{}'", type.substr(0, 64)));
    }
    VIGIE_TRY(validate(json["data"], detail::schema_named(file_of(type)), "/data"));
    Event event;
    event.meta.id.value = json["id"].get_ref<const std::string&>();
    event.meta.source = json["source"].get_ref<const std::string&>();
    if (auto domain = string_at(json, "/domain")) event.meta.domain.value = *std::move(domain);
    VIGIE_TRY_ASSIGN(event.meta.time, read_time(json));
    VIGIE_TRY_ASSIGN(event.data,
                     read_data(json["data"], type, std::make_index_sequence<kTypes.size()>()));
    return event;
}

std::string_view schema_of(std::string_view type) {
    return is_known(type) ? detail::embedded(file_of(type)) : std::string_view{};
}

std::string encode_incident(const Incident& incident) {
    return dump_json(detail::Writer::write(incident));
}

Result<Incident> decode_incident(std::string_view bytes) {
    VIGIE_TRY_ASSIGN(const Json json, parse_json(bytes));
    VIGIE_TRY(validate(json, detail::schema_named("incident.v1.json#incident")));
    return detail::Reader::read<Incident>(json, "");
}

std::string encode_policy(const Policy& policy) {
    return dump_json(detail::Writer::write(policy));
}

Result<Policy> decode_policy(std::string_view bytes) {
    VIGIE_TRY_ASSIGN(const Json json, parse_json(bytes));
    VIGIE_TRY(validate(json, detail::schema_named("policy.v1.json")));
    return detail::Reader::read<Policy>(json, "");
}

}  // namespace vigie::schemas
