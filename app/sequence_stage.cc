#include "app/sequence_stage.h"

#include <charconv>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "app/metrics.h"
#include "schemas/events.h"
#include "schemas/topics.h"

namespace vigie::app {

namespace {

constexpr std::string_view kCount = "count";
constexpr std::size_t kForgottenPerTickMax = 1000;
// More than one, so that a partition without ticks shrinks too.
constexpr std::size_t kForgottenPerIdMax = 4;

bool is_tick(const streams::Record& record) {
    for (const auto& [name, value] : record.message.headers) {
        if (name == schemas::topics::kHeaderKind) return value == schemas::topics::kKindTick;
    }
    return false;
}

// The id of what ingest made itself and checked when it made it, from its header; "" for all else.
// Its key is the domain already.
std::string known_id(const streams::Record& record) {
    const auto& topic = record.partition.topic;
    if (topic != schemas::topics::kAlerts && topic != schemas::topics::kChanges) return {};
    for (const auto& [name, value] : record.message.headers) {
        if (name == schemas::topics::kHeaderEventId) return value;
    }
    return {};
}

// Of vigie.actions the agent needs what it did not say itself.
bool concerns_agent(const schemas::Event& event) {
    const auto* action = std::get_if<schemas::ActionEvent>(&event.data);
    return action == nullptr || (action->status != schemas::ActionStatus::kIntended &&
                                 action->status != schemas::ActionStatus::kStarted);
}

std::string time_key(EventTime at, std::string_view id) {
    // Event times before the epoch are clamped: the key only orders forgetting.
    return fmt::format("at/{:016x}/{}", std::max<std::int64_t>(micros_of(at), 0), id);
}

Result<std::size_t> read_count(const streams::Context& context) {
    VIGIE_TRY_ASSIGN(const auto text, context.get(kCount));
    std::size_t count = 0;
    if (text) std::from_chars(text->data(), text->data() + text->size(), count);
    return count;
}

}  // namespace

SequenceStage::SequenceStage(Options options, MetricsRegistry& metrics)
    : options_(options), duplicates_(metrics.counter(kSequencerDuplicates)) {}

Status SequenceStage::on_record(const streams::Record& record, streams::Context& context) {
    streams::Message out = record.message;
    out.topic = schemas::topics::kSignals;
    if (is_tick(record)) {
        VIGIE_TRY(forget_old(context.watermark(), kForgottenPerTickMax, context));
        // One input's ticks are enough to move the agent's time.
        if (record.partition.topic == schemas::topics::kAlerts) context.emit(std::move(out));
        return {};
    }
    std::string id = known_id(record);
    if (id.empty()) {
        VIGIE_TRY_ASSIGN(const auto event, schemas::decode(record.message.value));
        if (!concerns_agent(event)) return {};
        id = event.meta.id.value;
        out.key = event.meta.domain.value;
    }
    VIGIE_TRY_ASSIGN(const auto seen, context.get("seen/" + id));
    if (seen) {
        duplicates_.add();
        return {};
    }
    VIGIE_TRY(remember(id, context.watermark(), context));
    VIGIE_TRY(forget_old(context.watermark(), kForgottenPerIdMax, context));
    out.headers.emplace_back(
        schemas::topics::kHeaderOrigin,
        fmt::format("{}@{}", streams::to_string(record.partition), record.offset));
    context.emit(std::move(out));
    return {};
}

Status SequenceStage::on_timer(std::string_view, EventTime, streams::Context&) {
    return {};
}

Status SequenceStage::remember(std::string_view id, EventTime now, streams::Context& context) {
    VIGIE_TRY_ASSIGN(const std::size_t count, read_count(context));
    context.put(fmt::format("seen/{}", id), {});
    context.put(time_key(now, id), {});
    context.put(kCount, std::to_string(count + 1));
    return {};
}

Status SequenceStage::forget_old(EventTime now, std::size_t max, streams::Context& context) {
    VIGIE_TRY_ASSIGN(std::size_t count, read_count(context));
    std::vector<std::string> old;
    const std::string limit = time_key(now - options_.seen_age_max, "");
    VIGIE_TRY(context.scan("at/", [&](std::string_view key, std::string_view) {
        const bool too_many = count - old.size() > options_.seen_max;
        if (old.size() == max || (key >= limit && !too_many)) return false;
        old.emplace_back(key);
        return true;
    }));
    if (old.empty()) return {};
    for (const std::string& key : old) {
        const auto id = std::string_view(key).substr(time_key(now, "").size());
        context.erase(fmt::format("seen/{}", id));
        context.erase(key);
    }
    context.put(kCount, std::to_string(count - old.size()));
    return {};
}

}  // namespace vigie::app
