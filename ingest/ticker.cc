#include "ingest/ticker.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include <fmt/format.h>

#include "ingest/metrics.h"
#include "schemas/events.h"
#include "schemas/topics.h"

namespace vigie::ingest {

namespace topics = schemas::topics;

namespace {

// How many records the newest is looked for among.
constexpr std::size_t kLast = 1000;

std::int64_t nanoseconds_of(const Clock& clock) {
    return clock.steady().time_since_epoch().count();
}

}  // namespace

Ticker::Ticker(Options options, streams::Bus& bus, const Clock& clock, MetricsRegistry& metrics)
    : options_(std::move(options)),
      bus_(bus),
      clock_(clock),
      metrics_(metrics),
      under_way_(std::make_shared<std::atomic<bool>>(false)),
      last_durable_(std::make_shared<std::atomic<std::int64_t>>(nanoseconds_of(clock))) {}

// The bus chooses a partition by key alone, so a key is looked for until each partition has
// one. With P partitions that takes about P log P tries, once.
Result<std::size_t> Ticker::find_keys() {
    std::map<streams::Partition, std::string> keys;
    for (const auto& topic : options_.topics) {
        VIGIE_TRY_ASSIGN(const auto partitions, bus_.partition_count(topic));
        std::int32_t missing = partitions;
        for (std::int64_t i = 0; missing > 0; ++i) {
            std::string key = fmt::format("tick-{}", i);
            const streams::Partition partition{topic, streams::partition_of(key, partitions)};
            if (keys.try_emplace(partition, std::move(key)).second) --missing;
        }
    }
    keys_ = std::move(keys);
    return keys_.size();
}

// What earlier runs left, perhaps under a clock that was wrong.
Status Ticker::find_newest() {
    EventTime newest;
    for (const auto& [partition, key] : keys_) {
        VIGIE_TRY_ASSIGN(const auto range, bus_.range(partition));
        // The last record: offsets may have holes, so further back until there is one.
        for (streams::Offset back = 1; range.end - range.begin > back / 2; back *= 2) {
            VIGIE_TRY_ASSIGN(const auto last,
                             bus_.read(partition, std::max(range.end - back, range.begin),
                                       {kLast, std::chrono::milliseconds{0}}));
            for (const auto& record : last) newest = std::max(newest, record.message.event_time);
            if (!last.empty()) break;
        }
    }
    newest_.store(micros_of(newest));
    return {};
}

Status Ticker::tick() {
    if (under_way_->load()) {
        metrics_.counter(metrics::kTicksFailed).add(keys_.size());
        return fail(ErrorKind::kOverloaded, "the ticks before are not durable yet");
    }
    if (keys_.empty()) {
        VIGIE_TRY(find_keys());
        VIGIE_TRY(find_newest());
    }
    const EventTime at = to_event_time(clock_.wall());
    newest_.store(std::max(newest_.load(), micros_of(at)));
    std::vector<streams::Message> messages;
    for (const auto& [partition, key] : keys_) {
        const schemas::EventMeta meta{
            {fmt::format("tick-{}-{}", streams::to_string(partition), micros_of(at))},
            "/ingest/ticker",
            at,
            options_.domain};
        messages.push_back(
            {.topic = partition.topic,
             .key = key,
             .value = schemas::encode({meta, schemas::Tick{}}),
             .headers = {{std::string(topics::kHeaderKind), std::string(topics::kKindTick)}},
             .event_time = at});
    }
    under_way_->store(true);
    const std::size_t count = messages.size();
    const std::int64_t asked = nanoseconds_of(clock_);
    bus_.append(
        std::move(messages), [this_metrics = &metrics_, under_way = under_way_,
                              last_durable = last_durable_, asked, count](const Status& status) {
            this_metrics->counter(status ? metrics::kTicks : metrics::kTicksFailed).add(count);
            if (status) last_durable->store(asked);
            under_way->store(false);
        });
    return {};
}

Status Ticker::check_time_moves(std::chrono::milliseconds age_max) const {
    const EventTime newest = event_time_from_micros(newest_.load());
    if (const auto ahead = newest - to_event_time(clock_.wall()); ahead > age_max) {
        return fail(
            ErrorKind::kUnavailable,
            fmt::format("time stands still: the log has reached {}, {} ahead of the clock",
                        to_rfc3339(newest),
                        to_string(std::chrono::duration_cast<std::chrono::seconds>(ahead))));
    }
    const std::chrono::nanoseconds age{nanoseconds_of(clock_) - last_durable_->load()};
    if (age <= age_max) return {};
    return fail(ErrorKind::kUnavailable,
                fmt::format("time stands still: no tick became durable for {} s",
                            std::chrono::duration_cast<std::chrono::seconds>(age).count()));
}

}  // namespace vigie::ingest
