#include "responders/agent/memory.h"

#include <charconv>
#include <utility>

#include "core/bytes.h"
#include "responders/agent/limits.h"
#include "responders/agent/state_keys.h"
#include "schemas/events.h"

namespace vigie::agent {

namespace {

std::int64_t to_integer(std::string_view text) {
    std::int64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

// "" when a line could not be told from the next.
std::string lines_of(const std::vector<EntityId>& entities) {
    std::string lines;
    for (const auto& entity : entities) {
        if (entity.value.empty() || entity.value.find('\n') != std::string::npos) return {};
        lines += entity.value + "\n";
    }
    return lines;
}

std::vector<EntityId> entities_in(std::string_view lines) {
    std::vector<EntityId> entities;
    for (auto end = lines.find('\n'); end != std::string_view::npos; end = lines.find('\n')) {
        entities.push_back({std::string(lines.substr(0, end))});
        lines.remove_prefix(end + 1);
    }
    return entities;
}

}  // namespace

Result<std::optional<EventTime>> Memory::watched_until() const {
    VIGIE_TRY_ASSIGN(const auto micros, state_.get(kWatchedKey));
    if (!micros) return std::nullopt;
    return event_time_from_micros(to_integer(*micros));
}

void Memory::set_watched_until(EventTime at) {
    state_.put(kWatchedKey, std::to_string(micros_of(at)));
}

Result<std::optional<Case>> Memory::load(const IncidentId& id) const {
    VIGIE_TRY_ASSIGN(auto incident, state_.get(state_key(kIncidentPrefix, id.value)));
    if (!incident) return std::nullopt;
    VIGIE_TRY_ASSIGN(auto work, state_.get(state_key(kWorkPrefix, id.value)));
    if (const auto* known = work ? cache_.find(*incident, *work) : nullptr) return known->item;
    auto decoded = schemas::decode_incident(*incident);
    if (!decoded || !work) {
        return fail(ErrorKind::kCorrupt,
                    fmt::format("the stored incident {} cannot be read: {}", id.value,
                                decoded ? "its work is missing" : decoded.error().message));
    }
    Case item;
    item.incident = *std::move(decoded);
    VIGIE_TRY_ASSIGN(item.work, decode_work(*work));
    cache_.add({*std::move(incident), *std::move(work), item});
    return item;
}

void Memory::save(const Case& item) {
    const auto& id = item.incident.id.value;
    const auto* known = cache_.latest(item.incident.id);
    const bool same = known != nullptr && known->item.incident == item.incident;
    CaseCache::Entry entry{same ? known->incident_text : schemas::encode_incident(item.incident),
                           encode_work(item.work), item};
    // What the cache knows was in the state once: whether it still is only the state can say.
    const auto put = [this](const std::string& key, const std::string& text) {
        const auto stored = state_.get(key);
        if (!stored || *stored != text) state_.put(key, text);
    };
    put(state_key(kIncidentPrefix, id), entry.incident_text);
    put(state_key(kWorkPrefix, id), entry.work_text);
    cache_.add(std::move(entry));
}

Result<std::vector<IncidentId>> Memory::open_incidents() const {
    return ids_after(std::string(kOpenPrefix));
}

Result<std::int64_t> Memory::open_count() const {
    return count(kOpenCountKey);
}

Status Memory::add_open(const IncidentId& id) {
    state_.put(state_key(kOpenPrefix, id.value), "");
    return add(kOpenCountKey, 1);
}

Status Memory::close(const schemas::Incident& incident, EventTime at) {
    const std::string& id = incident.id.value;
    state_.erase(state_key(kOpenPrefix, id));
    VIGIE_TRY(add(kOpenCountKey, -1));
    state_.put(fmt::format("{}{}/{}", kClosedPrefix, sortable(at), id),
               lines_of(incident.entities));
    VIGIE_TRY(add(kClosedCountKey, 1));
    VIGIE_TRY_ASSIGN(const auto closed, count(kClosedCountKey));
    if (closed <= kClosedMax) return {};
    std::string oldest;
    VIGIE_TRY(state_.scan(kClosedPrefix, [&oldest](std::string_view key, std::string_view) {
        oldest = key;
        return false;
    }));
    if (oldest.empty()) return {};
    const IncidentId forgotten{oldest.substr(oldest.rfind('/') + 1)};
    VIGIE_TRY_ASSIGN(const auto item, load(forgotten));
    if (item) VIGIE_TRY(release_symptoms(*item));
    state_.erase(oldest);
    state_.erase(state_key(kIncidentPrefix, forgotten.value));
    state_.erase(state_key(kWorkPrefix, forgotten.value));
    return add(kClosedCountKey, -1);
}

Status Memory::release_symptoms(const Case& item) {
    for (const auto& [name, track] : item.work.tracks) {
        VIGIE_TRY_ASSIGN(const auto id, incident_of(name));
        if (id == item.incident.id) forget_symptom(name);
    }
    return {};
}

Status Memory::reopen(const IncidentId& id, EventTime closed_at) {
    state_.erase(fmt::format("{}{}/{}", kClosedPrefix, sortable(closed_at), id.value));
    VIGIE_TRY(add(kClosedCountKey, -1));
    return add_open(id);
}

Result<std::vector<Memory::Closed>> Memory::closed_since(EventTime since) const {
    const auto first = fmt::format("{}{}", kClosedPrefix, sortable(since));
    std::vector<Closed> found;
    VIGIE_TRY(state_.scan(kClosedPrefix, [&](std::string_view key, std::string_view entities) {
        if (key < first) return true;
        found.push_back({{std::string(key.substr(key.rfind('/') + 1))}, entities_in(entities)});
        return true;
    }));
    return found;
}

Result<std::optional<IncidentId>> Memory::incident_of(std::string_view name) const {
    VIGIE_TRY_ASSIGN(const auto id, state_.get(state_key(kSymptomPrefix, name)));
    if (!id) return std::nullopt;
    return IncidentId{*id};
}

void Memory::set_incident_of(std::string_view name, const IncidentId& id) {
    state_.put(state_key(kSymptomPrefix, name), id.value);
}

void Memory::forget_symptom(std::string_view name) {
    state_.erase(state_key(kSymptomPrefix, name));
    state_.erase(state_key(kLabelsPrefix, name));
}

void Memory::set_labels(std::string_view name, const schemas::Labels& labels) {
    std::string row;
    for (const auto& [label, value] : labels) {
        put_text(row, label);
        put_text(row, value);
    }
    if (!row.empty() && row.size() <= kLabelBytesMax) {
        state_.put(state_key(kLabelsPrefix, name), std::move(row));
    }
}

Result<schemas::Labels> Memory::labels_of(std::string_view name) const {
    schemas::Labels labels;
    VIGIE_TRY_ASSIGN(const auto row, state_.get(state_key(kLabelsPrefix, name)));
    if (!row) return labels;
    std::string_view rest = *row;
    while (!rest.empty()) {
        const auto label = take_text(rest);
        const auto value = label ? take_text(rest) : std::nullopt;
        if (!value)
            return fail(ErrorKind::kCorrupt, fmt::format("the labels of {} cannot be read", name));
        labels.emplace_back(*label, *value);
    }
    return labels;
}

Result<std::vector<Presence>> Memory::present_at(const EntityId& entity) const {
    std::vector<Presence> out;
    const auto prefix = state_key(kAtPrefix, entity.value) + "/";
    VIGIE_TRY(state_.scan(prefix, [&](std::string_view key, std::string_view value) {
        out.push_back(
            {{std::string(key.substr(prefix.size()))}, event_time_from_micros(to_integer(value))});
        return out.size() < kNeighboursMax;
    }));
    return out;
}

void Memory::set_present(const EntityId& entity, const IncidentId& id, EventTime at) {
    state_.put(state_key(kAtPrefix, entity.value, id.value), std::to_string(micros_of(at)));
}

void Memory::clear_present(const EntityId& entity, const IncidentId& id) {
    state_.erase(state_key(kAtPrefix, entity.value, id.value));
}

Result<std::vector<IncidentId>> Memory::suspecting(std::string_view change_key) const {
    return ids_after(state_key(kSharedPrefix, change_key) + "/");
}

void Memory::set_suspecting(std::string_view change_key, const IncidentId& id) {
    state_.put(state_key(kSharedPrefix, change_key, id.value), "");
}

void Memory::clear_suspecting(std::string_view change_key, const IncidentId& id) {
    state_.erase(state_key(kSharedPrefix, change_key, id.value));
}

Result<std::optional<IncidentId>> Memory::overflow() const {
    VIGIE_TRY_ASSIGN(const auto id, state_.get(kOverflowKey));
    if (!id) return std::nullopt;
    return IncidentId{*id};
}

void Memory::set_overflow(const IncidentId& id) {
    state_.put(kOverflowKey, id.value);
}

void Memory::clear_overflow() {
    state_.erase(kOverflowKey);
}

Result<std::int64_t> Memory::count(std::string_view key) const {
    VIGIE_TRY_ASSIGN(const auto text, state_.get(key));
    return text ? to_integer(*text) : 0;
}

Status Memory::add(std::string_view key, std::int64_t change) {
    VIGIE_TRY_ASSIGN(const auto before, count(key));
    state_.put(key, std::to_string(before + change));
    return {};
}

Result<std::vector<IncidentId>> Memory::ids_after(const std::string& prefix) const {
    std::vector<IncidentId> out;
    VIGIE_TRY(state_.scan(prefix, [&](std::string_view key, std::string_view) {
        out.push_back({std::string(key.substr(prefix.size()))});
        return true;
    }));
    return out;
}

}  // namespace vigie::agent
