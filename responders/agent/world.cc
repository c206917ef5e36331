#include "responders/agent/world.h"

#include <algorithm>
#include <charconv>
#include <deque>
#include <utility>

#include "responders/agent/limits.h"
#include "responders/agent/state_keys.h"
#include "responders/agent/work.h"
#include "schemas/json.h"

namespace vigie::agent {

using schemas::Json;

namespace {

std::string text_at(const Json& json, std::string_view pointer) {
    return schemas::string_at(json, pointer).value_or("");
}

EventTime time_at(const Json& json, std::string_view pointer) {
    return event_time_from_micros(schemas::integer_at(json, pointer).value_or(0));
}

std::string encode_change(const RecentChange& change) {
    return schemas::dump_json(Json{{"key", change.key},
                                   {"kind", static_cast<int>(change.kind)},
                                   {"entity", change.entity.value},
                                   {"status", change.status},
                                   {"version", change.version},
                                   {"actor", change.actor},
                                   {"summary", change.summary},
                                   {"event", change.event.value},
                                   {"first_at", micros_of(change.first_at)},
                                   {"latest_at", micros_of(change.latest_at)}});
}

Result<RecentChange> decode_change(std::string_view text) {
    VIGIE_TRY_ASSIGN(const auto json, schemas::parse_json(text));
    RecentChange change;
    change.key = text_at(json, "/key");
    change.kind = static_cast<schemas::ChangeKind>(schemas::integer_at(json, "/kind").value_or(0));
    change.entity = {text_at(json, "/entity")};
    change.status = text_at(json, "/status");
    change.version = text_at(json, "/version");
    change.actor = text_at(json, "/actor");
    change.summary = text_at(json, "/summary");
    change.event = {text_at(json, "/event")};
    change.first_at = time_at(json, "/first_at");
    change.latest_at = time_at(json, "/latest_at");
    return change;
}

std::string encode_loose(const LooseEvidence& loose) {
    const auto& evidence = loose.evidence;
    return schemas::dump_json(Json{{"event", evidence.event.value},
                                   {"kind", evidence.kind},
                                   {"key", evidence.key},
                                   {"entity", evidence.entity.value},
                                   {"at", micros_of(evidence.at)},
                                   {"score", evidence.score},
                                   {"text", evidence.text},
                                   {"channel", to_string(loose.channel)},
                                   {"seen_at", micros_of(loose.seen_at)}});
}

Result<LooseEvidence> decode_loose(std::string_view text) {
    VIGIE_TRY_ASSIGN(const auto json, schemas::parse_json(text));
    LooseEvidence loose;
    loose.evidence.event = {text_at(json, "/event")};
    loose.evidence.kind = text_at(json, "/kind");
    loose.evidence.key = text_at(json, "/key");
    loose.evidence.entity = {text_at(json, "/entity")};
    loose.evidence.at = time_at(json, "/at");
    loose.evidence.score = schemas::number_at(json, "/score").value_or(0);
    loose.evidence.text = text_at(json, "/text");
    loose.channel = parse_channel(text_at(json, "/channel"));
    loose.seen_at = time_at(json, "/seen_at");
    return loose;
}

}  // namespace

Result<World::Learned> World::learn_edge(const EntityId& from, const EntityId& to) {
    const auto out = state_key(kOutPrefix, from.value, to.value);
    VIGIE_TRY_ASSIGN(const auto known, state_.get(out));
    if (known || from == to) return Learned::kKnown;
    VIGIE_TRY_ASSIGN(const auto count_text, state_.get(kEdgeCountKey));
    std::int64_t count = 0;
    if (count_text) {
        std::from_chars(count_text->data(), count_text->data() + count_text->size(), count);
    }
    if (count >= kEdgesMax) return Learned::kFull;
    state_.put(out, to.value);
    state_.put(state_key(kInPrefix, to.value, from.value), from.value);
    state_.put(kEdgeCountKey, std::to_string(count + 1));
    return Learned::kNew;
}

Result<std::set<EntityId>> World::learned(std::string_view prefix, const EntityId& entity) const {
    std::set<EntityId> out;
    const auto start = state_key(prefix, entity.value) + "/";
    VIGIE_TRY(state_.scan(start, [&out](std::string_view, std::string_view value) {
        out.insert({std::string(value)});
        return out.size() < kNeighboursMax;
    }));
    return out;
}

Result<Neighbours> World::neighbours(const EntityId& entity) const {
    Neighbours out;
    VIGIE_TRY_ASSIGN(out.dependencies, learned(kOutPrefix, entity));
    VIGIE_TRY_ASSIGN(out.dependents, learned(kInPrefix, entity));
    const auto add = [](std::set<EntityId>& to, const std::set<EntityId>& from) {
        for (const auto& item : from) {
            if (to.size() < 2 * kNeighboursMax) to.insert(item);
        }
    };
    add(out.dependencies, view_.dependencies(entity));
    add(out.dependents, view_.dependents(entity));
    return out;
}

Result<Graph> World::graph(const std::set<EntityId>& from) const {
    Graph graph;
    std::deque<std::pair<EntityId, std::size_t>> queue;
    for (const auto& entity : from) queue.emplace_back(entity, 0);
    while (!queue.empty() && graph.size() < kGraphMax) {
        const auto [entity, hops] = queue.front();
        queue.pop_front();
        if (graph.contains(entity)) continue;
        VIGIE_TRY_ASSIGN(const auto found, neighbours(entity));
        graph[entity] = {found.dependencies.begin(), found.dependencies.end()};
        if (hops == kPathMax) continue;
        for (const auto& callee : found.dependencies) queue.emplace_back(callee, hops + 1);
    }
    return graph;
}

Result<RecentChange> World::remember(const schemas::Change& change, const EventId& event,
                                     EventTime now) {
    const auto key = state_key(kChangePrefix, change.key);
    VIGIE_TRY_ASSIGN(const auto before, state_.get(key));
    RecentChange folded;
    folded.event = event;
    folded.first_at = change.at;
    folded.latest_at = change.at;
    if (before) {
        VIGIE_TRY_ASSIGN(folded, decode_change(*before));
    }
    folded.first_at = std::min(folded.first_at, change.at);
    if (!before || change.at >= folded.latest_at) {
        folded.key = change.key;
        folded.kind = change.kind;
        folded.entity = change.entity;
        folded.status = clean(change.status, kNameBytesMax);
        folded.version = clean(change.version, kNameBytesMax);
        folded.actor = clean(change.actor, kNameBytesMax);
        folded.summary = clean(change.summary);
        folded.latest_at = change.at;
    }
    state_.put(key, encode_change(folded));
    VIGIE_TRY_ASSIGN(const auto all, changes());
    std::size_t left = all.size();
    for (const auto& old : all) {
        const bool expired = old.latest_at + view_.policy().change_window < now;
        if (!expired && left <= kChangesMax) break;
        state_.erase(state_key(kChangePrefix, old.key));
        --left;
    }
    return folded;
}

Result<std::vector<RecentChange>> World::changes() const {
    std::vector<RecentChange> out;
    Status status;
    VIGIE_TRY(state_.scan(kChangePrefix, [&](std::string_view, std::string_view value) {
        auto change = decode_change(value);
        if (!change) {
            status = fail(ErrorKind::kCorrupt, "a remembered change cannot be read");
            return false;
        }
        out.push_back(*std::move(change));
        return true;
    }));
    VIGIE_TRY(status);
    std::sort(out.begin(), out.end(), [](const RecentChange& a, const RecentChange& b) {
        if (a.latest_at != b.latest_at) return a.latest_at < b.latest_at;
        return a.key < b.key;
    });
    return out;
}

namespace {

// Of a key loose/MICROS/NAME.
std::string_view name_of_loose(std::string_view key) {
    const std::size_t slash = key.find('/', kLoosePrefix.size());
    return slash == std::string_view::npos ? std::string_view{} : key.substr(slash + 1);
}

EventTime seen_at_of_loose(std::string_view key) {
    std::int64_t micros = 0;
    key.remove_prefix(std::min(key.size(), kLoosePrefix.size()));
    std::from_chars(key.data(), key.data() + key.size(), micros);
    return event_time_from_micros(micros);
}

}  // namespace

Result<std::vector<std::pair<std::string, LooseEvidence>>> World::loose_since(
    EventTime since) const {
    std::vector<std::pair<std::string, LooseEvidence>> out;
    Status status;
    VIGIE_TRY(state_.scan(kLoosePrefix, [&](std::string_view key, std::string_view value) {
        if (seen_at_of_loose(key) < since) return true;
        auto loose = decode_loose(value);
        if (!loose) {
            status = fail(ErrorKind::kCorrupt, "remembered evidence cannot be read");
            return false;
        }
        out.emplace_back(std::string(key), *std::move(loose));
        return true;
    }));
    VIGIE_TRY(status);
    return out;
}

// One look at the keys: who re-sends a thousand alerts comes here with each of them.
Result<bool> World::keep_loose(const LooseEvidence& loose, EventTime now) {
    const auto name = key_part(evidence_name(loose.evidence.kind, loose.evidence.key));
    const EventTime keep_from = now - view_.policy().correlation_window;
    std::vector<std::string> erased;
    // Of those that stay: one may have to go for this one, and another while the limit was larger.
    std::vector<std::string> oldest;
    std::size_t left = 1;
    bool was_known = false;
    VIGIE_TRY(state_.scan(kLoosePrefix, [&](std::string_view key, std::string_view) {
        if (!was_known && name_of_loose(key) == name) {
            was_known = true;
            erased.emplace_back(key);
        } else if (seen_at_of_loose(key) < keep_from) {
            erased.emplace_back(key);
        } else {
            ++left;
            if (oldest.size() < 2) oldest.emplace_back(key);
        }
        return true;
    }));
    for (std::size_t i = 0; left - i > kLooseMax && i < oldest.size(); ++i) {
        erased.push_back(oldest[i]);
    }
    for (const std::string& key : erased) state_.erase(key);
    state_.put(fmt::format("{}{}/{}", kLoosePrefix, sortable(loose.seen_at), name),
               encode_loose(loose));
    return !was_known;
}

Result<bool> World::drop_loose(std::string_view name) {
    const auto suffix = "/" + key_part(name);
    std::string found;
    VIGIE_TRY(state_.scan(kLoosePrefix, [&](std::string_view key, std::string_view) {
        if (!key.ends_with(suffix)) return true;
        found = key;
        return false;
    }));
    if (!found.empty()) state_.erase(found);
    return !found.empty();
}

Result<std::vector<LooseEvidence>> World::take_loose(const std::set<EntityId>& entities,
                                                     EventTime since) {
    std::vector<LooseEvidence> out;
    VIGIE_TRY_ASSIGN(auto all, loose_since(since));
    for (auto& [key, loose] : all) {
        if (!entities.contains(view_.canonical(loose.evidence.entity))) continue;
        state_.erase(key);
        out.push_back(std::move(loose));
    }
    return out;
}

}  // namespace vigie::agent
