#include "responders/agent/controls.h"

#include <algorithm>
#include <utility>

#include "responders/agent/limits.h"
#include "responders/agent/state_keys.h"
#include "schemas/json.h"

namespace vigie::agent {

using schemas::Json;
using schemas::kSilencesMax;

namespace {

std::string text_at(const Json& json, std::string_view pointer) {
    return schemas::string_at(json, pointer).value_or("");
}

EventTime time_at(const Json& json, std::string_view pointer) {
    return event_time_from_micros(schemas::integer_at(json, pointer).value_or(0));
}

Result<Silence> decode_silence(std::string_view text) {
    VIGIE_TRY_ASSIGN(const auto json, schemas::parse_json(text));
    // Rows of older versions have neither matchers nor a start: they began long ago.
    Silence silence{text_at(json, "/id"),
                    text_at(json, "/scope"),
                    {},
                    text_at(json, "/owner"),
                    text_at(json, "/reason"),
                    time_at(json, "/starts_at"),
                    time_at(json, "/until"),
                    {}};
    const Json* matchers = schemas::find(json, "/matchers");
    for (const auto& row : matchers == nullptr ? Json::array() : *matchers) {
        VIGIE_TRY_ASSIGN(auto matcher,
                         schemas::parse_matcher(schemas::string_at(row, "").value_or("")));
        silence.matchers.push_back(std::move(matcher));
    }
    return silence;
}

Result<ModeDecision> decode_mode(std::string_view text) {
    VIGIE_TRY_ASSIGN(const auto json, schemas::parse_json(text));
    ModeDecision decision;
    decision.scope = text_at(json, "/scope");
    // A mode that cannot be read is the safest one.
    decision.mode = schemas::parse_mode(text_at(json, "/mode")).value_or(schemas::Mode::kShadow);
    decision.actor = text_at(json, "/actor");
    decision.sequence = schemas::integer_at(json, "/sequence").value_or(0);
    return decision;
}

// Everything below `prefix`; kCorrupt when one cannot be read.
template <class T, class Decode>
Result<std::vector<T>> read_all(const AgentContext& state, std::string_view prefix, Decode decode) {
    std::vector<T> out;
    bool damaged = false;
    VIGIE_TRY(state.scan(prefix, [&](std::string_view, std::string_view value) {
        auto item = decode(value);
        damaged = !item;
        if (item) out.push_back(*std::move(item));
        return !damaged;
    }));
    if (damaged) {
        return fail(ErrorKind::kCorrupt, fmt::format("a row of {} cannot be read", prefix));
    }
    return out;
}

}  // namespace

Status Controls::add_silence(const Silence& silence, EventTime now) {
    VIGIE_TRY_ASSIGN(const auto active, silences(now));
    const bool known =
        std::ranges::any_of(active, [&](const auto& other) { return other.id == silence.id; });
    if (!known && active.size() >= kSilencesMax) {
        return fail(ErrorKind::kOverloaded,
                    fmt::format("there are already {} silences: let some end", kSilencesMax));
    }
    Json row{{"id", silence.id},
             {"scope", silence.scope},
             {"owner", silence.owner},
             {"reason", silence.reason},
             {"starts_at", micros_of(silence.starts_at)},
             {"until", micros_of(silence.until)}};
    for (const auto& matcher : silence.matchers) {
        row["matchers"].push_back(schemas::to_string(matcher));
    }
    state_.put(state_key(kSilencePrefix, silence.id), schemas::dump_json(row));
    return {};
}

Result<std::vector<Silence>> Controls::silences(EventTime now) const {
    VIGIE_TRY_ASSIGN(auto all, read_all<Silence>(state_, kSilencePrefix, decode_silence));
    std::erase_if(all, [now](const Silence& silence) { return silence.until <= now; });
    return all;
}

void Controls::end_silence(std::string_view id) {
    state_.erase(state_key(kSilencePrefix, id));
}

Status Controls::set_mode(const ModeDecision& decision) {
    VIGIE_TRY_ASSIGN(const auto all, modes());
    std::int64_t sequence = 0;
    bool known = false;
    for (const auto& other : all) {
        sequence = std::max(sequence, other.sequence);
        known = known || other.scope == decision.scope;
    }
    if (!known && all.size() >= kModesMax) {
        return fail(ErrorKind::kOverloaded,
                    fmt::format("there are already {} mode decisions: put them into the "
                                "configuration, and clear some with the mode 'policy'",
                                kModesMax));
    }
    state_.put(state_key(kModePrefix, decision.scope),
               schemas::dump_json(Json{{"scope", decision.scope},
                                       {"mode", schemas::to_string(decision.mode)},
                                       {"actor", decision.actor},
                                       {"sequence", sequence + 1}}));
    return {};
}

Status Controls::clear_mode(std::string_view scope) {
    const auto key = state_key(kModePrefix, scope);
    VIGIE_TRY_ASSIGN(const auto known, state_.get(key));
    if (!known) return fail(ErrorKind::kNotFound, "no mode was set at run time for this scope");
    state_.erase(key);
    return {};
}

Result<std::vector<ModeDecision>> Controls::modes() const {
    return read_all<ModeDecision>(state_, kModePrefix, decode_mode);
}

Result<std::string> Controls::kill() const {
    VIGIE_TRY_ASSIGN(auto text, state_.get(kKillKey));
    return text.value_or("");
}

void Controls::set_kill(std::string text) {
    state_.put(kKillKey, std::move(text));
}

void Controls::clear_kill() {
    state_.erase(kKillKey);
}

Status Controls::count_action(const ActionId& id, const EntityId& target, EventTime now) {
    const auto first_kept =
        fmt::format("{}{}", kActedPrefix, sortable(now - std::chrono::hours{1}));
    std::vector<std::string> old;
    VIGIE_TRY(state_.scan(kActedPrefix, [&](std::string_view key, std::string_view) {
        if (key >= first_kept) return false;
        old.emplace_back(key);
        return true;
    }));
    for (const auto& key : old) state_.erase(key);
    state_.put(fmt::format("{}{}/{}", kActedPrefix, sortable(now), key_part(id.value)),
               target.value);
    return {};
}

Result<std::int64_t> Controls::actions_since(EventTime since) const {
    const auto first = fmt::format("{}{}", kActedPrefix, sortable(since));
    std::int64_t count = 0;
    VIGIE_TRY(state_.scan(kActedPrefix, [&](std::string_view key, std::string_view) {
        if (key >= first) ++count;
        return true;
    }));
    return count;
}

Status Controls::start_cooldown(const EntityId& target, std::string_view by, EventTime until,
                                EventTime now) {
    std::vector<std::string> over;
    VIGIE_TRY(state_.scan(kCooldownPrefix, [&](std::string_view key, std::string_view value) {
        const auto json = schemas::parse_json(value);
        if (!json || time_at(*json, "/until") <= now) over.emplace_back(key);
        return true;
    }));
    for (const auto& key : over) state_.erase(key);
    state_.put(state_key(kCooldownPrefix, target.value),
               schemas::dump_json(Json{{"until", micros_of(until)}, {"by", by}}));
    return {};
}

Result<std::string> Controls::cooldown(const EntityId& target, std::string_view by,
                                       EventTime now) const {
    VIGIE_TRY_ASSIGN(const auto text, state_.get(state_key(kCooldownPrefix, target.value)));
    if (!text) return std::string{};
    const auto json = schemas::parse_json(*text);
    if (!json) return fail(ErrorKind::kCorrupt, "a stored cooldown cannot be read");
    const auto until = time_at(*json, "/until");
    const auto who = text_at(*json, "/by");
    if (until <= now || who == by) return std::string{};
    return fmt::format("{} acted on the target; it rests until {}", who.substr(0, who.find('#')),
                       to_rfc3339(until));
}

Result<Outcomes> Controls::outcomes() const {
    VIGIE_TRY_ASSIGN(const auto text, state_.get(kOutcomesKey));
    if (!text) return Outcomes{};
    return decode_outcomes(*text);
}

void Controls::set_outcomes(const Outcomes& outcomes) {
    state_.put(kOutcomesKey, encode_outcomes(outcomes));
}

}  // namespace vigie::agent
