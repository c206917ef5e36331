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

bool is_tick(const streams::Message& message) {
    return std::any_of(message.headers.begin(), message.headers.end(), [](const auto& header) {
        return header.first == topics::kHeaderKind && header.second == topics::kKindTick;
    });
}

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
      bus_(bus),
      metrics_(metrics),
      log_(log),
      published_(std::make_shared<const View>()) {}

std::shared_ptr<const View> Views::view() const {
    const std::scoped_lock lock(mutex_);
    return published_;
}

Status Views::find_sources() {
    std::vector<Source> sources;
    for (const auto topic : {topics::kIncidents, topics::kAudit}) {
        VIGIE_TRY_ASSIGN(const auto partitions, bus_.partition_count(topic));
        for (std::int32_t i = 0; i < partitions; ++i) {
            const streams::Partition partition{std::string(topic), i};
            streams::Offset from = 0;
            if (topic == topics::kAudit) {
                // Years of it are kept, and older entries would be forgotten again at once.
                VIGIE_TRY_ASSIGN(const auto range, bus_.range(partition));
                const auto shown = static_cast<streams::Offset>(options_.audit_max);
                from = std::max(range.begin, range.end - shown);
            }
            sources.push_back({partition, from});
        }
    }
    sources_ = std::move(sources);
    return {};
}

Result<std::size_t> Views::step(const streams::PollLimits& limits) {
    if (sources_.empty()) VIGIE_TRY(find_sources());
    const bool announce = next_.caught_up;
    const auto records = read_all(limits);
    if (records && !next_.caught_up) {
        VIGIE_TRY_ASSIGN(next_.caught_up, at_end());
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

// Each partition is looked at without waiting; only when all are quiet is one of them waited for,
// so that a quiet audit does not hold back a new incident.
Result<std::size_t> Views::read_all(const streams::PollLimits& limits) {
    std::size_t records = 0;
    for (auto& source : sources_) {
        VIGIE_TRY_ASSIGN(const auto n,
                         read(source, {limits.records_max, std::chrono::milliseconds{0}}));
        records += n;
    }
    if (records > 0 || !next_.caught_up) return records;
    return read(sources_.front(), limits);
}

void Views::publish() {
    evict();
    metrics_.gauge(metrics::kIncidents).set(static_cast<double>(next_.incidents.size()));
    const auto published = std::make_shared<const View>(next_);
    dirty_ = false;
    const std::scoped_lock lock(mutex_);
    published_ = published;
}

Result<std::size_t> Views::read(Source& source, const streams::PollLimits& limits) {
    auto records = bus_.read(source.partition, source.next, limits);
    if (!records) {
        metrics_.counter(metrics::kReadsFailed, {{"topic", source.partition.topic}}).add();
        return fail(std::move(records).error().in("read " + streams::to_string(source.partition)));
    }
    for (const auto& record : *records) {
        apply(record);
        source.next = record.offset + 1;
    }
    metrics_.counter(metrics::kRecords, {{"topic", source.partition.topic}}).add(records->size());
    return records->size();
}

void Views::apply(const streams::Record& record) {
    if (is_tick(record.message)) return;
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

Result<bool> Views::at_end() const {
    for (const auto& source : sources_) {
        VIGIE_TRY_ASSIGN(const auto range, bus_.range(source.partition));
        // What retention took away is not waited for.
        const auto next = std::max(source.next, range.begin);
        if (next >= range.end) continue;
        // There may be holes only.
        VIGIE_TRY_ASSIGN(const auto rest,
                         bus_.read(source.partition, next, {1, std::chrono::milliseconds{0}}));
        if (!rest.empty()) return false;
    }
    return true;
}

}  // namespace vigie::console
