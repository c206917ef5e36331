#include "responders/agent/work.h"

#include <utility>

#include <fmt/format.h>

#include "schemas/json.h"

namespace vigie::agent {

using schemas::Json;

namespace {

std::string text_at(const Json& json, std::string_view pointer) {
    return schemas::string_at(json, pointer).value_or("");
}

std::int64_t number_at(const Json& json, std::string_view pointer) {
    return schemas::integer_at(json, pointer).value_or(0);
}

bool flag_at(const Json& json, std::string_view pointer) {
    return schemas::bool_at(json, pointer).value_or(false);
}

std::optional<EventTime> time_at(const Json& json, std::string_view pointer) {
    const auto micros = schemas::integer_at(json, pointer);
    if (!micros) return std::nullopt;
    return event_time_from_micros(*micros);
}

std::vector<std::string> texts_of(const Json& json) {
    std::vector<std::string> out;
    for (const auto& item : json) {
        if (item.is_string()) out.push_back(item.get<std::string>());
    }
    return out;
}

schemas::Mechanism mechanism_at(const Json& json, std::string_view pointer) {
    const auto number = number_at(json, pointer);
    const auto last = static_cast<std::int64_t>(schemas::Mechanism::kUnknown);
    if (number < 0 || number > last) return schemas::Mechanism::kUnknown;
    return static_cast<schemas::Mechanism>(number);
}

void read_lists(const Json& json, Work& work) {
    if (const auto* tracks = schemas::find(json, "/tracks"); tracks && tracks->is_object()) {
        for (const auto& [name, track] : tracks->items()) {
            work.tracks[name] = {parse_channel(text_at(track, "/channel")),
                                 time_at(track, "/seen_at").value_or(EventTime{}),
                                 number_at(track, "/repeats")};
        }
    }
    if (const auto* tried = schemas::find(json, "/tried")) {
        for (auto& item : texts_of(*tried)) work.tried.insert(std::move(item));
    }
    if (const auto* facts = schemas::find(json, "/facts"); facts && facts->is_array()) {
        for (const auto& step : *facts) {
            auto& found = work.facts.emplace_back();
            for (const auto& [name, value] : step.items()) {
                if (value.is_string()) found[name] = value.get<std::string>();
            }
        }
    }
    if (const auto* diffs = schemas::find(json, "/diffs")) {
        for (const auto& lines : *diffs) work.diffs.push_back(texts_of(lines));
    }
}

}  // namespace

std::string evidence_name(std::string_view kind, std::string_view key) {
    return fmt::format("{}/{}", kind, key);
}

Facts merged_facts(const Work& work, std::size_t step) {
    Facts merged;
    for (const auto& facts : work.facts) {
        for (const auto& [name, value] : facts) merged[name] = value;
    }
    if (step < work.facts.size()) {
        for (const auto& [name, value] : work.facts[step]) merged[name] = value;
    }
    return merged;
}

std::string encode_work(const Work& work) {
    Json json;
    Json tracks = Json::object();
    for (const auto& [name, track] : work.tracks) {
        tracks[name] = {{"channel", to_string(track.channel)},
                        {"seen_at", micros_of(track.seen_at)},
                        {"repeats", track.repeats}};
    }
    json["tracks"] = std::move(tracks);
    json["tried"] = work.tried;
    json["overflow"] = work.overflow;
    json["only_counted"] = work.only_counted;
    json["cause_entity"] = work.cause_entity.value;
    json["cause_mechanism"] = static_cast<int>(work.cause_mechanism);
    json["cause_change"] = work.cause_change;
    json["runbook"] = work.runbook;
    json["facts"] = work.facts;
    json["facts_at"] = micros_of(work.facts_at);
    json["diffs"] = work.diffs;
    json["purpose"] = static_cast<int>(work.purpose);
    json["waiting_for"] = work.waiting_for.value;
    json["step"] = work.step;
    json["inspections"] = work.inspections;
    json["intents"] = work.intents;
    json["retried"] = work.retried;
    json["acted"] = work.acted;
    json["hold"] = static_cast<int>(work.hold);
    if (work.clear_until) json["clear_until"] = micros_of(*work.clear_until);
    if (work.verify_until) json["verify_until"] = micros_of(*work.verify_until);
    json["notices"] = work.notices;
    json["reopened"] = work.reopened;
    json["told_resolved"] = work.told_resolved;
    if (work.told_ended) json["told_ended"] = schemas::to_string(*work.told_ended);
    json["told_at"] = micros_of(work.told_at);
    json["held_update"] = work.held_update;
    return schemas::dump_json(json);
}

Result<Work> decode_work(std::string_view text) {
    const auto json = schemas::parse_json(text);
    if (!json || !json->is_object()) {
        return fail(ErrorKind::kCorrupt, "the agent's stored work on an incident is damaged");
    }
    Work work;
    read_lists(*json, work);
    work.overflow = flag_at(*json, "/overflow");
    work.only_counted = number_at(*json, "/only_counted");
    work.cause_entity = {text_at(*json, "/cause_entity")};
    work.cause_mechanism = mechanism_at(*json, "/cause_mechanism");
    work.cause_change = text_at(*json, "/cause_change");
    work.runbook = text_at(*json, "/runbook");
    work.facts_at = time_at(*json, "/facts_at").value_or(EventTime{});
    work.purpose = static_cast<Purpose>(number_at(*json, "/purpose"));
    work.waiting_for = {text_at(*json, "/waiting_for")};
    work.step = number_at(*json, "/step");
    work.inspections = number_at(*json, "/inspections");
    work.intents = number_at(*json, "/intents");
    work.retried = flag_at(*json, "/retried");
    work.acted = flag_at(*json, "/acted");
    work.hold = static_cast<Hold>(number_at(*json, "/hold"));
    work.clear_until = time_at(*json, "/clear_until");
    work.verify_until = time_at(*json, "/verify_until");
    work.notices = number_at(*json, "/notices");
    work.reopened = number_at(*json, "/reopened");
    work.told_resolved = flag_at(*json, "/told_resolved");
    work.told_ended = schemas::parse_ended(text_at(*json, "/told_ended"));
    work.told_at = time_at(*json, "/told_at").value_or(EventTime{});
    work.held_update = text_at(*json, "/held_update");
    return work;
}

}  // namespace vigie::agent
