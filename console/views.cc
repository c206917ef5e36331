#include "console/views.h"

#include <algorithm>
#include <chrono>
#include <tuple>
#include <utility>
#include <variant>

#include "console/metrics.h"
#include "schemas/topics.h"

namespace vigie::console {

namespace topics = schemas::topics;
using schemas::IncidentState;

namespace {

bool is_over(const schemas::Incident& incident) {
    return incident.state == IncidentState::kResolved || incident.state == IncidentState::kReviewed;
}

}  // namespace

IncidentPtr View::find(std::string_view id) const {
    const auto found = incidents.find(id);
    return found == incidents.end() ? nullptr : found->second;
}

std::vector<IncidentPtr> View::newest_first() const {
    std::vector<IncidentPtr> sorted;
    sorted.reserve(incidents.size());
    for (const auto& [id, incident] : incidents) sorted.push_back(incident);
    std::sort(sorted.begin(), sorted.end(), [](const IncidentPtr& a, const IncidentPtr& b) {
        return std::tie(b->opened_at, b->id) < std::tie(a->opened_at, a->id);
    });
    return sorted;
}

Views::Views(Options options, const streams::Bus& bus, MetricsRegistry& metrics, Log& log)
    : options_(options),
      metrics_(metrics),
      log_(log),
      follower_({{std::string(topics::kIncidents), 0},
                 {std::string(topics::kAudit), static_cast<std::int64_t>(options.audit_max)}},
                bus, metrics),
      published_(std::make_shared<const View>()) {}

std::shared_ptr<const View> Views::view() const {
    const std::scoped_lock lock(mutex_);
    return published_;
}

Result<std::size_t> Views::step(const streams::PollLimits& limits) {
    const bool announce = next_.caught_up;
    // Before the end was reached, it is asked whether this is it and not waited for more.
    const streams::PollLimits now{limits.records_max, std::chrono::milliseconds{0}};
    const auto records = follower_.read(next_.caught_up ? limits : now,
                                        [this](const auto& record) { apply(record); });
    if (records && !next_.caught_up) {
        VIGIE_TRY_ASSIGN(next_.caught_up, follower_.at_end());
        dirty_ = dirty_ || next_.caught_up;
    }
    if (dirty_) publish();
    std::vector<IncidentPtr> changed;
    changed.reserve(changed_.size());
    for (auto& [id, incident] : changed_) changed.push_back(std::move(incident));
    changed_.clear();
    if (announce && on_change_ && !changed.empty()) on_change_(changed);
    return records;
}

void Views::publish() {
    evict();
    metrics_.gauge(metrics::kIncidents).set(static_cast<double>(next_.incidents.size()));
    const auto published = std::make_shared<const View>(next_);
    dirty_ = false;
    const std::scoped_lock lock(mutex_);
    published_ = published;
}

void Views::apply(const streams::Record& record) {
    const std::string& topic = record.partition.topic;
    auto event = schemas::decode(record.message.value);
    const bool is_incident = event && topic == topics::kIncidents &&
                             std::holds_alternative<schemas::IncidentEvent>(event->data);
    const bool is_audit =
        event && topic == topics::kAudit && std::holds_alternative<schemas::Audit>(event->data);
    if (is_incident) {
        auto incident = std::make_shared<const schemas::Incident>(
            std::move(std::get<schemas::IncidentEvent>(event->data).incident));
        changed_[incident->id.value] = incident;
        next_.incidents[incident->id.value] = std::move(incident);
        dirty_ = true;
    } else if (is_audit) {
        next_.audit.push_back(std::make_shared<const AuditEntry>(
            AuditEntry{std::move(event->meta), std::move(std::get<schemas::Audit>(event->data))}));
        dirty_ = true;
    } else {
        metrics_.counter(metrics::kUnreadable, {{"topic", topic}}).add();
        log_.warn(
            "record not shown in the console",
            {{"partition", streams::to_string(record.partition)},
             {"offset", std::to_string(record.offset)},
             {"error", event ? "of a type that is not expected here" : event.error().message}});
    }
}

void Views::evict() {
    while (next_.audit.size() > options_.audit_max) {
        next_.audit.pop_front();
        metrics_.counter(metrics::kEvicted, {{"topic", std::string(topics::kAudit)}}).add();
    }
    if (next_.incidents.size() <= options_.incidents_max) return;
    std::vector<IncidentPtr> order = next_.newest_first();
    std::sort(order.begin(), order.end(), [](const IncidentPtr& a, const IncidentPtr& b) {
        return std::tuple(!is_over(*a), a->updated_at, a->id) <
               std::tuple(!is_over(*b), b->updated_at, b->id);
    });
    order.resize(next_.incidents.size() - options_.incidents_max);
    for (const auto& incident : order) next_.incidents.erase(incident->id.value);
    metrics_.counter(metrics::kEvicted, {{"topic", std::string(topics::kIncidents)}})
        .add(order.size());
}

}  // namespace vigie::console
