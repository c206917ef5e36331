#include "ingest/ticker.h"

#include <atomic>
#include <utility>

#include <fmt/format.h>

#include "ingest/metrics.h"
#include "schemas/events.h"
#include "schemas/topics.h"

namespace vigie::ingest {

namespace topics = schemas::topics;

Ticker::Ticker(Options options, streams::Bus& bus, const Clock& clock, MetricsRegistry& metrics)
    : options_(std::move(options)),
      bus_(bus),
      clock_(clock),
      metrics_(metrics),
      under_way_(std::make_shared<std::atomic<bool>>(false)) {}

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

Status Ticker::tick() {
    if (under_way_->load()) {
        metrics_.counter(metrics::kTicksFailed).add(keys_.size());
        return fail(ErrorKind::kOverloaded, "the ticks before are not durable yet");
    }
    if (keys_.empty()) VIGIE_TRY(find_keys());
    const EventTime at = to_event_time(clock_.wall());
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
    bus_.append(std::move(messages), [this_metrics = &metrics_, under_way = under_way_,
                                      count](const Status& status) {
        this_metrics->counter(status ? metrics::kTicks : metrics::kTicksFailed).add(count);
        under_way->store(false);
    });
    return {};
}

}  // namespace vigie::ingest
