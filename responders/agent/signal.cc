#include "responders/agent/signal.h"

#include <algorithm>

#include <fmt/format.h>

#include "responders/agent/text.h"

namespace vigie::agent {

namespace {

constexpr std::size_t kEntityBytesMax = 200;
constexpr std::size_t kKeyBytesMax = 200;

// Long keys keep their beginning for people and a hash for identity.
std::string bounded_key(const std::string& key, const std::string& otherwise) {
    const std::string& text = key.empty() ? otherwise : key;
    if (text.size() <= kKeyBytesMax && clean(text, text.size() + 4) == text) return text;
    return stable_id(clean(text, kKeyBytesMax / 2) + "-", text);
}

}  // namespace

EntityId usable_entity(const EntityId& entity) {
    if (entity.value.size() > kEntityBytesMax) return {};
    if (clean(entity.value, kEntityBytesMax) != entity.value) return {};
    if (entity_kind(entity).empty() || entity_name(entity).empty()) return {};
    return entity;
}

Signal to_signal(const schemas::Alert& alert, const schemas::EventMeta& meta) {
    Signal signal;
    signal.kind = "alert";
    signal.entity = usable_entity(alert.entity);
    signal.key =
        bounded_key(alert.fingerprint, fmt::format("{}/{}", alert.name, alert.entity.value));
    signal.name = clean(alert.name, kNameBytesMax);
    signal.text = clean(alert.summary.empty() ? alert.name : alert.summary);
    signal.firing = alert.firing;
    signal.severity = alert.severity;
    // Somebody chose this threshold on purpose: worth more than an anomaly that just fires.
    signal.score = alert.severity == schemas::Severity::kCritical ? 4 : 2;
    signal.onset = std::min(alert.starts_at, meta.time);
    signal.seen_at = meta.time;
    signal.labels = alert.labels;
    return signal;
}

Signal to_signal(const schemas::Anomaly& anomaly, const schemas::EventMeta& meta) {
    Signal signal;
    signal.kind = "anomaly";
    signal.entity = usable_entity(anomaly.entity);
    signal.key = bounded_key(anomaly.key, fmt::format("{}/{}/{}", anomaly.detector, anomaly.signal,
                                                      anomaly.entity.value));
    signal.name =
        clean(fmt::format("{} ({})", schemas::to_string(anomaly.symptom), anomaly.detector),
              kNameBytesMax);
    signal.text = clean(anomaly.reason.empty() ? anomaly.signal : anomaly.reason);
    signal.firing = anomaly.firing;
    signal.ended = schemas::ended_of(anomaly);
    signal.severity = anomaly.severity;
    signal.channel = channel_of(anomaly);
    signal.score = bounded_score(anomaly.score);
    signal.onset = std::min(anomaly.first_seen, meta.time);
    signal.seen_at = meta.time;
    return signal;
}

}  // namespace vigie::agent
